/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every symbol of the library, in one place. What each does is said where the headers of linux/ wrap it,
 * under the name without its prefix. Figures have the same width on every ABI, so no prototype here has an
 * `unsigned long`. Drivers call none of these but those of bottomhalf.h.
 */
#ifndef BOTTOMHALF_ABI_H
#define BOTTOMHALF_ABI_H

#include <bottomhalf/items.h>

BOTTOMHALF_BEGIN

/* Tasklets: linux/interrupt.h. */
void bottomhalf_tasklet_setup(struct tasklet_struct *t, void (*callback)(struct tasklet_struct *t));
void bottomhalf_tasklet_init(struct tasklet_struct *t, void (*func)(uintptr_t data), uintptr_t data);
void bottomhalf_tasklet_schedule(struct tasklet_struct *t);
void bottomhalf_tasklet_hi_schedule(struct tasklet_struct *t);
void bottomhalf_tasklet_disable(struct tasklet_struct *t);
void bottomhalf_tasklet_disable_nosync(struct tasklet_struct *t);
void bottomhalf_tasklet_disable_in_atomic(struct tasklet_struct *t);
bool bottomhalf_tasklet_trylock(struct tasklet_struct *t);
void bottomhalf_tasklet_unlock(struct tasklet_struct *t);
void bottomhalf_tasklet_unlock_wait(struct tasklet_struct *t);
void bottomhalf_tasklet_unlock_spin_wait(struct tasklet_struct *t);
void bottomhalf_tasklet_enable(struct tasklet_struct *t);
void bottomhalf_tasklet_kill(struct tasklet_struct *t);

/* Bottom halves and context: linux/bottom_half.h, linux/preempt.h. */
void bottomhalf_local_bh_disable(void);
void bottomhalf_local_bh_enable(void);
bool bottomhalf_in_interrupt(void);
bool bottomhalf_in_softirq(void);
bool bottomhalf_in_serving_softirq(void);
bool bottomhalf_in_hardirq(void);
bool bottomhalf_in_irq(void);
bool bottomhalf_in_task(void);
bool bottomhalf_in_atomic(void);
bool bottomhalf_irqs_disabled(void);

/* Works: linux/workqueue.h, by way of bottomhalf/work.h. */
void bottomhalf_INIT_WORK(struct work_struct *work, work_func_t func);
void bottomhalf_INIT_WORK_ONSTACK(struct work_struct *work, work_func_t func);
void bottomhalf_destroy_work_on_stack(struct work_struct *work);
bool bottomhalf_queue_work(struct workqueue_struct *wq, struct work_struct *work);
bool bottomhalf_schedule_work(struct work_struct *work);
bool bottomhalf_queue_work_on(int32_t cpu, struct workqueue_struct *wq, struct work_struct *work);
bool bottomhalf_schedule_work_on(int32_t cpu, struct work_struct *work);
bool bottomhalf_cancel_work(struct work_struct *work);
bool bottomhalf_cancel_work_sync(struct work_struct *work);
bool bottomhalf_flush_work(struct work_struct *work);
bool bottomhalf_work_pending(const struct work_struct *work);
uint32_t bottomhalf_work_busy(const struct work_struct *work);
uint64_t bottomhalf_work_data_bits(const struct work_struct *work);
struct work_struct *bottomhalf_current_work(void);
bool bottomhalf_disable_work(struct work_struct *work);
bool bottomhalf_disable_work_sync(struct work_struct *work);
bool bottomhalf_enable_work(struct work_struct *work);
bool bottomhalf_enable_and_queue_work(struct workqueue_struct *wq, struct work_struct *work);
int64_t bottomhalf_work_on_cpu(int32_t cpu, int64_t (*func)(void *arg), void *arg);
int64_t bottomhalf_work_on_cpu_safe(int32_t cpu, int64_t (*func)(void *arg), void *arg);
int32_t bottomhalf_schedule_on_each_cpu(work_func_t func);
int32_t bottomhalf_execute_in_process_context(work_func_t func, struct execute_work *ew);
void bottomhalf_set_worker_desc(const char *description);
bool bottomhalf_current_is_workqueue_rescuer(void);

/* Delayed works: linux/workqueue.h, by way of bottomhalf/delayed_work.h. */
void bottomhalf_INIT_DELAYED_WORK(struct delayed_work *dwork, work_func_t func);
void bottomhalf_INIT_DELAYED_WORK_ONSTACK(struct delayed_work *dwork, work_func_t func);
void bottomhalf_INIT_DEFERRABLE_WORK(struct delayed_work *dwork, work_func_t func);
void bottomhalf_INIT_DEFERRABLE_WORK_ONSTACK(struct delayed_work *dwork, work_func_t func);
void bottomhalf_destroy_delayed_work_on_stack(struct delayed_work *dwork);
bool bottomhalf_queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, uint64_t delay);
bool bottomhalf_schedule_delayed_work(struct delayed_work *dwork, uint64_t delay);
bool bottomhalf_queue_delayed_work_on(int32_t cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
                                      uint64_t delay);
bool bottomhalf_schedule_delayed_work_on(int32_t cpu, struct delayed_work *dwork, uint64_t delay);
bool bottomhalf_mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *dwork, uint64_t delay);
bool bottomhalf_mod_delayed_work_on(int32_t cpu, struct workqueue_struct *wq, struct delayed_work *dwork,
                                    uint64_t delay);
bool bottomhalf_cancel_delayed_work(struct delayed_work *dwork);
bool bottomhalf_cancel_delayed_work_sync(struct delayed_work *dwork);
bool bottomhalf_flush_delayed_work(struct delayed_work *dwork);
bool bottomhalf_delayed_work_pending(const struct delayed_work *dwork);
bool bottomhalf_disable_delayed_work(struct delayed_work *dwork);
bool bottomhalf_disable_delayed_work_sync(struct delayed_work *dwork);
bool bottomhalf_enable_delayed_work(struct delayed_work *dwork);

/* Workqueues: linux/workqueue.h, by way of bottomhalf/queue.h. */
struct workqueue_struct *bottomhalf_alloc_workqueue(const char *name, uint32_t flags, int32_t max_active);
struct workqueue_struct *bottomhalf_alloc_ordered_workqueue(const char *name, uint32_t flags);
struct workqueue_struct *bottomhalf_create_workqueue(const char *name);
struct workqueue_struct *bottomhalf_create_singlethread_workqueue(const char *name);
struct workqueue_struct *bottomhalf_create_freezable_workqueue(const char *name);
void bottomhalf_flush_workqueue(struct workqueue_struct *wq);
void bottomhalf_drain_workqueue(struct workqueue_struct *wq);
void bottomhalf_destroy_workqueue(struct workqueue_struct *wq);
void bottomhalf_workqueue_set_max_active(struct workqueue_struct *wq, int32_t max_active);
bool bottomhalf_workqueue_congested(int32_t cpu, struct workqueue_struct *wq);
struct workqueue_struct *bottomhalf_system_wq(void);
struct workqueue_struct *bottomhalf_system_percpu_wq(void);
struct workqueue_struct *bottomhalf_system_highpri_wq(void);
struct workqueue_struct *bottomhalf_system_long_wq(void);
struct workqueue_struct *bottomhalf_system_unbound_wq(void);
struct workqueue_struct *bottomhalf_system_dfl_wq(void);
struct workqueue_struct *bottomhalf_system_dfl_long_wq(void);
struct workqueue_struct *bottomhalf_system_freezable_wq(void);
struct workqueue_struct *bottomhalf_system_power_efficient_wq(void);
struct workqueue_struct *bottomhalf_system_freezable_power_efficient_wq(void);
struct workqueue_struct *bottomhalf_system_bh_wq(void);
struct workqueue_struct *bottomhalf_system_bh_highpri_wq(void);
void bottomhalf_flush_scheduled_work(void);

/* Jiffies: linux/jiffies.h. */
uint64_t bottomhalf_jiffies(void);
uint64_t bottomhalf_jiffies_64(void);
uint64_t bottomhalf_get_jiffies_64(void);
uint64_t bottomhalf_msecs_to_jiffies(uint32_t msecs);
uint64_t bottomhalf_usecs_to_jiffies(uint32_t usecs);
uint64_t bottomhalf_nsecs_to_jiffies(uint64_t nsecs);
uint64_t bottomhalf_nsecs_to_jiffies64(uint64_t nsecs);
uint64_t bottomhalf_secs_to_jiffies(uint64_t secs);
uint32_t bottomhalf_jiffies_to_msecs(uint64_t count);
uint32_t bottomhalf_jiffies_to_usecs(uint64_t count);
uint64_t bottomhalf_jiffies_to_nsecs(uint64_t count);
uint64_t bottomhalf___round_jiffies(uint64_t j, uint32_t cpu);
uint64_t bottomhalf___round_jiffies_relative(uint64_t j, uint32_t cpu);
uint64_t bottomhalf_round_jiffies(uint64_t j);
uint64_t bottomhalf_round_jiffies_relative(uint64_t j);
uint64_t bottomhalf___round_jiffies_up(uint64_t j, uint32_t cpu);
uint64_t bottomhalf___round_jiffies_up_relative(uint64_t j, uint32_t cpu);
uint64_t bottomhalf_round_jiffies_up(uint64_t j);
uint64_t bottomhalf_round_jiffies_up_relative(uint64_t j);

/* Devices: linux/devm-helpers.h. */
struct devm_list;
struct devm_action;
int32_t bottomhalf_devm_add_action(struct devm_list *device, struct devm_action *action,
                                   void (*release)(void *data), void *data);
void bottomhalf_devm_release_all(struct devm_list *device);
int32_t bottomhalf_devm_work_autocancel(struct devm_list *device, struct devm_action *action,
                                        struct work_struct *work, work_func_t func);
int32_t bottomhalf_devm_delayed_work_autocancel(struct devm_list *device, struct devm_action *action,
                                                struct delayed_work *dwork, work_func_t func);

/* Attaching has types of KMDF, and is declared in bottomhalf.h. */

BOTTOMHALF_END

#endif
