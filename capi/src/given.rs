//! Null pointers to items, which C may pass and Linux does not survive: they are reported (BH34), and the call does
//! nothing and says no.

use bottomhalf::linux::{
    delayed_work, devm_action, devm_list, execute_work, tasklet_struct, work_struct,
    workqueue_struct,
};

/// What a call is given.
pub(crate) trait Given {
    /// Whether it is a null pointer that nothing can be done with.
    fn is_missing(&self) -> bool {
        false
    }
}

macro_rules! items {
    ($($item:ty)*) => {$(
        impl Given for *mut $item {
            #[inline]
            fn is_missing(&self) -> bool {
                self.is_null()
            }
        }
        impl Given for *const $item {
            #[inline]
            fn is_missing(&self) -> bool {
                self.is_null()
            }
        }
    )*};
}
items!(tasklet_struct work_struct delayed_work execute_work devm_list devm_action);

// A null queue is answered by the library: BH04.
impl Given for *mut workqueue_struct {}
impl Given for i32 {}
impl Given for u32 {}
impl Given for u64 {}

/// Returns from an exported function, with its zero, if one of these is missing.
macro_rules! answer_null {
    ($call:expr $(, $given:expr)*) => {
        if false $(|| $crate::given::Given::is_missing(&$given))* {
            ::bottomhalf::c_face::null_argument($call);
            return Default::default();
        }
    };
}
pub(crate) use answer_null;
