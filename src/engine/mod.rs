//! Policy: state words, queues, flush, cancel, timers.
//!
//! # Layer
//!
//! Above: the API modules, with Linux's signatures. Below: [`crate::sync`] and
//! [`backend::Backend`], the only two doors down. No NT call is made here, and the state bits keep
//! Linux's words so that a reader can compare.
//!
//! # Where things are
//!
//! | module | invariants | what |
//! |---|---|---|
//! | [`item`] | I1 I2 | the structures in the driver's memory |
//! | [`word`] | W1-W4 | the `data` word of a work |
//! | [`locked`] | L1-L4 | raise, then lock |
//! | [`wait`] | A1 A2 | waiters, and calls put off until the locks are released |
//! | [`tasklet`], [`tasklet_run`], [`tasklet_wait`] | T1-T4 | tasklets; their runs; waiting for them, locking them |
//! | [`drain`], [`round`], [`overflow`] | P1-P3, O1-O4 | the DPC of a CPU; what it runs, in order; the thread that it hands over to |
//! | [`bottom_half`] | H1-H3 | works of `WQ_BH` queues |
//! | [`softirq`] | X1 X2 | bottom halves off and on; the caller's context |
//! | [`queue`], [`sub_queue`], [`claim`], [`flush`], [`dependency`], [`workqueue`] | Q1-Q4, C1-C3 | sub-queues, `max_active`, colours, destroy |
//! | [`oneself`] | E1 | waits for the end of the caller's own run |
//! | [`freeze`] | F1 F2 | queues that stand still while the device is suspended |
//! | [`running`], [`worker`], [`placement`] | R1-R3 | who runs, who waits for it; the life of one run; where its thread runs |
//! | [`rescue`] | S1-S4 | threads of ours, for when NT's pool brings no worker |
//! | [`work`], [`flush_work`], [`delayed`], [`timers`], [`time`] | D1-D3 | queue, cancel, flush; deadlines; jiffies |
//! | [`devm`] | V1 V2 | what a device takes back |
//! | [`runtime`] | G1-G4 | what an attached image has, grace periods, the end |

pub(crate) mod backend;
pub(crate) mod bottom_half;
pub(crate) mod claim;
pub(crate) mod delayed;
pub(crate) mod dependency;
pub(crate) mod devm;
pub(crate) mod diagnostic;
pub(crate) mod drain;
pub(crate) mod flush;
pub(crate) mod flush_work;
pub(crate) mod freeze;
pub(crate) mod item;
pub(crate) mod locked;
pub(crate) mod oneself;
pub(crate) mod overflow;
pub(crate) mod placement;
pub(crate) mod queue;
pub(crate) mod rescue;
pub(crate) mod round;
pub(crate) mod running;
pub(crate) mod runtime;
pub(crate) mod softirq;
pub(crate) mod sub_queue;
pub(crate) mod tasklet;
pub(crate) mod tasklet_run;
pub(crate) mod tasklet_wait;
pub(crate) mod time;
pub(crate) mod timers;
pub(crate) mod wait;
pub(crate) mod word;
pub(crate) mod work;
pub(crate) mod worker;
pub(crate) mod workqueue;
