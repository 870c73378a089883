//! All Linux names at once: `use bottomhalf::linux::*;` for code translated line by line.

#[doc(inline)]
pub use crate::delayed_work::*;
#[doc(inline)]
pub use crate::devm::*;
#[doc(inline)]
pub use crate::execute::*;
#[doc(inline)]
pub use crate::init::*;
#[doc(inline)]
pub use crate::interrupt::*;
#[doc(inline)]
pub use crate::jiffies::*;
#[doc(inline)]
pub use crate::on_cpu::*;
#[doc(inline)]
pub use crate::system_queues::*;
#[doc(inline)]
pub use crate::tasklet::*;
#[doc(inline)]
pub use crate::work::*;
#[doc(inline)]
pub use crate::workqueue::*;
#[doc(inline)]
pub use crate::{container_of, from_tasklet, from_work};
