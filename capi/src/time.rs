//! Jiffies. What only computes is in the headers too, in the types of C; these are for who calls by name.

forward! {
    jiffies() -> u64;
    jiffies_64() -> u64;
    get_jiffies_64() -> u64;
    msecs_to_jiffies(msecs: u32) -> u64;
    usecs_to_jiffies(usecs: u32) -> u64;
    nsecs_to_jiffies(nsecs: u64) -> u64;
    nsecs_to_jiffies64(nsecs: u64) -> u64;
    secs_to_jiffies(secs: u64) -> u64;
    jiffies_to_msecs(jiffies: u64) -> u32;
    jiffies_to_usecs(jiffies: u64) -> u32;
    jiffies_to_nsecs(jiffies: u64) -> u64;
}

forward! {
    __round_jiffies(j: u64, cpu: u32) -> u64;
    __round_jiffies_relative(j: u64, cpu: u32) -> u64;
    round_jiffies(j: u64) -> u64;
    round_jiffies_relative(j: u64) -> u64;
    __round_jiffies_up(j: u64, cpu: u32) -> u64;
    __round_jiffies_up_relative(j: u64, cpu: u32) -> u64;
    round_jiffies_up(j: u64) -> u64;
    round_jiffies_up_relative(j: u64) -> u64;
}
