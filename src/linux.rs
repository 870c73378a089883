//! All Linux names at once: `use bottomhalf::linux::*;` for code translated line by line.

pub use crate::delayed_work::*;
pub use crate::devm::*;
pub use crate::execute::*;
pub use crate::init::*;
pub use crate::interrupt::*;
pub use crate::jiffies::*;
pub use crate::on_cpu::*;
pub use crate::system_queues::*;
pub use crate::tasklet::*;
pub use crate::work::*;
pub use crate::workqueue::*;
pub use crate::{container_of, from_tasklet, from_work};
