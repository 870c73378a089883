//! Jobs in child processes, as many at a time as there are CPUs.
//!
//! A job has the process as it was at the fork: what C code keeps in its statics is fresh in each, as in an image
//! that has just been loaded. And a job that faults, or never ends, is one failure and not the end of the run.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A child process, and what it has written so far.
struct Child {
    index: usize,
    pid: libc::pid_t,
    output: File,
    text: Vec<u8>,
    began: Instant,
}

/// Calls `job` with each number below `count`, each call in a process of its own, and `done` with the number and
/// with what the job returned. A job that takes longer than `patience`, panics, or ends the process has failed.
///
/// The process must have no other threads, for a child has only the one that forks.
///
/// # Panics
/// If the system gives no process or no pipe.
pub fn each(
    count: usize,
    at_once: usize,
    patience: Duration,
    job: impl Fn(usize) -> Result<String, String>,
    mut done: impl FnMut(usize, Result<String, String>),
) {
    let mut children: Vec<Child> = Vec::new();
    let mut next = 0;
    while next < count || !children.is_empty() {
        while next < count && children.len() < at_once.max(1) {
            children.push(start(next, &job));
            next += 1;
        }
        wait_for_any(&mut children, patience);
        let mut place = 0;
        while place < children.len() {
            if read_some(&mut children[place]) {
                let child = children.swap_remove(place);
                done(child.index, end(child, patience));
            } else {
                place += 1;
            }
        }
    }
}

fn start(index: usize, job: &impl Fn(usize) -> Result<String, String>) -> Child {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "a pipe");
    // What is buffered is the parent's to write.
    drop(std::io::stdout().flush());
    // SAFETY: this process has no other threads, so that the child has all of it.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "a process");
    if pid == 0 {
        // SAFETY: the descriptor is the pipe's writing end, which nothing else in this process owns.
        let mut output = unsafe { File::from_raw_fd(ends[1]) };
        // What the parent would go on with is not for the child.
        let text = match catch_unwind(AssertUnwindSafe(|| job(index))) {
            Ok(Ok(answer)) => format!("+{answer}"),
            Ok(Err(error)) => format!("-{error}"),
            Err(_) => "-the job panicked".to_owned(),
        };
        let status = i32::from(output.write_all(text.as_bytes()).is_err());
        // SAFETY: ends the process at once; what the parent has at exit is not the child's to do.
        unsafe { libc::_exit(status) };
    }
    // SAFETY: the writing end is the child's, and this is its only use here.
    unsafe { libc::close(ends[1]) };
    Child {
        index,
        pid,
        // SAFETY: the descriptor is the pipe's reading end, which nothing else owns.
        output: unsafe { File::from_raw_fd(ends[0]) },
        text: Vec::new(),
        began: Instant::now(),
    }
}

/// Waits until a child has written something or ended, or for a moment.
fn wait_for_any(children: &mut [Child], patience: Duration) {
    let mut waits: Vec<libc::pollfd> = children
        .iter()
        .map(|child| libc::pollfd {
            fd: child.output.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // SAFETY: the array is as long as it says.
    unsafe { libc::poll(waits.as_mut_ptr(), waits.len() as libc::nfds_t, 100) };
    let mut ready = waits.iter().map(|wait| wait.revents != 0);
    for child in children {
        if !ready.next().unwrap_or_default() && child.began.elapsed() > patience {
            // SAFETY: the child was not waited for yet, so that the number is still its own.
            unsafe { libc::kill(child.pid, libc::SIGKILL) };
        }
    }
}

/// Reads what is there. Whether the child has closed its end.
fn read_some(child: &mut Child) -> bool {
    let mut wait = libc::pollfd {
        fd: child.output.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, as it says.
    if unsafe { libc::poll(&raw mut wait, 1, 0) } <= 0 {
        return false;
    }
    let mut buffer = [0; 4096];
    match child.output.read(&mut buffer) {
        Ok(0) | Err(_) => true,
        Ok(length) => {
            child.text.extend_from_slice(&buffer[..length]);
            false
        }
    }
}

fn end(child: Child, patience: Duration) -> Result<String, String> {
    let mut status = 0;
    // SAFETY: the child was not waited for yet.
    unsafe { libc::waitpid(child.pid, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        let late = child.began.elapsed() > patience;
        let why = if late { ": it took too long" } else { "" };
        return Err(format!("the process was ended by signal {signal}{why}"));
    }
    let text = String::from_utf8_lossy(&child.text).into_owned();
    match (text.split_at_checked(1), libc::WEXITSTATUS(status)) {
        (Some(("+", answer)), 0) => Ok(answer.to_owned()),
        (Some(("-", error)), 0) => Err(error.to_owned()),
        (_, status) => Err(format!(
            "the process ended with status {status} and wrote: {text:?}"
        )),
    }
}
