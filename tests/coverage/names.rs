//! What has to have a test: the rows of Linux, Linux's functions, and facts about KMDF; and what has none,
//! with the reason.

/// Linux's functions for deferred work that are here: those that make up 99 of 100 calls in the drivers of
/// Linux 6.1, and the tail. `tests/tidy.rs` adds whatever else `bottomhalf::linux` has.
pub(crate) const FUNCTIONS: &str = "
    DECLARE_TASKLET DECLARE_TASKLET_DISABLED tasklet_setup tasklet_init tasklet_schedule tasklet_hi_schedule
    tasklet_disable tasklet_disable_nosync tasklet_disable_in_atomic tasklet_enable tasklet_kill tasklet_trylock
    tasklet_unlock tasklet_unlock_wait tasklet_unlock_spin_wait

    DECLARE_WORK INIT_WORK INIT_WORK_ONSTACK destroy_work_on_stack queue_work queue_work_on schedule_work
    schedule_work_on cancel_work cancel_work_sync flush_work work_pending work_busy current_work work_on_cpu
    execute_in_process_context disable_work disable_work_sync enable_work enable_and_queue_work

    DECLARE_DELAYED_WORK DECLARE_DEFERRABLE_WORK INIT_DELAYED_WORK INIT_DEFERRABLE_WORK INIT_DELAYED_WORK_ONSTACK
    INIT_DEFERRABLE_WORK_ONSTACK destroy_delayed_work_on_stack to_delayed_work queue_delayed_work
    queue_delayed_work_on schedule_delayed_work schedule_delayed_work_on mod_delayed_work mod_delayed_work_on
    cancel_delayed_work cancel_delayed_work_sync flush_delayed_work delayed_work_pending disable_delayed_work
    disable_delayed_work_sync enable_delayed_work

    alloc_workqueue alloc_ordered_workqueue create_workqueue create_singlethread_workqueue
    create_freezable_workqueue destroy_workqueue flush_workqueue drain_workqueue workqueue_set_max_active

    system_wq system_highpri_wq system_long_wq system_unbound_wq system_freezable_wq system_power_efficient_wq
    system_freezable_power_efficient_wq system_bh_wq system_bh_highpri_wq system_percpu_wq system_dfl_wq
    system_dfl_long_wq

    devm_work_autocancel devm_delayed_work_autocancel

    local_bh_disable local_bh_enable in_interrupt in_softirq in_serving_softirq in_hardirq in_task

    jiffies msecs_to_jiffies usecs_to_jiffies nsecs_to_jiffies jiffies_to_msecs jiffies_to_usecs jiffies_to_nsecs
    round_jiffies round_jiffies_relative round_jiffies_up round_jiffies_up_relative time_after time_after_eq
    time_before time_before_eq";

/// Rows and functions that are not here, and why. shim-api.md names the functions under *Not here*.
pub(crate) const EXCEPTIONS: [(&str, &str); 14] = [
    ("D30", "rcu_work is not part of the contract"),
    (
        "DS5",
        "only in Linux's documents before 3.7; since then no order is promised",
    ),
    ("INIT_RCU_WORK", "rcu_work is not part of the contract"),
    ("queue_rcu_work", "rcu_work is not part of the contract"),
    ("flush_rcu_work", "rcu_work is not part of the contract"),
    ("to_rcu_work", "rcu_work is not part of the contract"),
    ("queue_work_node", "NUMA nodes are not part of the contract"),
    (
        "workqueue_set_min_active",
        "NUMA nodes are not part of the contract",
    ),
    (
        "alloc_workqueue_attrs",
        "attributes and sysfs are not part of the contract",
    ),
    (
        "free_workqueue_attrs",
        "attributes and sysfs are not part of the contract",
    ),
    (
        "apply_workqueue_attrs",
        "attributes and sysfs are not part of the contract",
    ),
    (
        "workqueue_sysfs_register",
        "attributes and sysfs are not part of the contract",
    ),
    ("__tasklet_schedule", "the state word is not the caller's"),
    (
        "__tasklet_hi_schedule",
        "the state word is not the caller's",
    ),
];

/// What the simulator must reproduce before its answers prove anything: P0, items 1 to 11.
pub(crate) const P0: &str = "
    N-41 D-18 D-19 D-20 D-21 D-22 D-23
    D-8 D-9 D-10 D-11 D-12 D-13 D-14 D-15 D-16 D-17 D-24 D-30
    W-7 W-8 W-9 W-10 W-11 W-12 W-14 W-15
    W-17 T-17
    W-18 W-19 W-20
    D-26 D-27 D-28 W-22 W-23 W-24 T-22 T-23
    T-11 T-12 T-13 T-14 T-15 T-16 T-18 T-19 T-20 T-21 T-24 T-25
    V-2 V-4 V-8
    N-2 W-16 D-32
    H-3";

/// What the naive mapping is convicted of.
pub(crate) const HAZARDS: &str = "H-3 H-9 H-14 H-17 H-19 H-21 H-22";
