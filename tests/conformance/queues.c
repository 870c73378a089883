// SPDX-License-Identifier: MIT OR Apache-2.0
/* Workqueues, rows Q01 to Q24: flush, drain, destroy, order, max_active. Those that warn: queues_misuse.c. */
#include "items.h"

static struct test_work a, b, c, d;
static struct test_work many[24];

/* The queue that a work queues itself on again. */
static struct workqueue_struct *again_on;


static void queue_again_five_times(struct test_work *self, int number)
{
    if (number <= 5)
        queue_work(again_on, &self->work);
}

static void queue_again_thirty_times(struct test_work *self, int number)
{
    if (number <= 30)
        queue_work(again_on, &self->work);
}

SCENARIO(Q01)
{
    struct workqueue_struct *wq = alloc_workqueue("q01", 0, 0);
    struct kit_thread *flush;

    test_work_init_gated(&a);
    test_work_init_gated(&b);
    test_work_init_gated(&c);
    queue_work_on(0, wq, &a.work);
    queue_work_on(2, wq, &b.work);
    item_await_begun(&a, 1);
    item_await_begun(&b, 1);
    flush = kit_thread_on(3, thread_flush_workqueue, wq);
    answer("waits", still_waits(flush));
    queue_work_on(1, wq, &c.work);
    item_await_begun(&c, 1);
    item_release(&a);
    answer("after_a", still_waits(flush));
    item_release(&b);
    kit_join(flush);
    answer("a", item_ended(&a));
    answer("b", item_ended(&b));
    answer("c", item_ended(&c));
    item_release(&c);
    destroy_workqueue(wq);
}

/* Queues the blocker of an ordered queue before itself, so that the second run is still to come. */
static void block_and_queue_again(struct test_work *self, int number)
{
    if (number == 1) {
        queue_work(again_on, &b.work);
        queue_work(again_on, &self->work);
    }
}

SCENARIO(Q02)
{
    struct workqueue_struct *wq = alloc_workqueue("q02", 0, 0);
    struct workqueue_struct *ordered = alloc_ordered_workqueue("q02o", 0);
    struct kit_thread *flush;

    test_work_init_gated(&a);
    queue_work_on(1, wq, &a.work);
    item_await_begun(&a, 1);
    queue_work_on(1, wq, &a.work);
    flush = kit_thread_on(3, thread_flush_workqueue, wq);
    answer("before_waits", still_waits(flush));
    item_release(&a);
    kit_join(flush);
    answer("before_runs", item_ended(&a));

    again_on = ordered;
    test_work_init_gated(&a);
    test_work_init_gated(&b);
    a.then = block_and_queue_again;
    queue_work(ordered, &a.work);
    item_await_begun(&a, 1);
    flush = kit_thread_on(3, thread_flush_workqueue, ordered);
    answer("after_waits", still_waits(flush));
    item_release(&a);
    kit_join(flush);
    answer("after_runs", item_ended(&a));
    answer("pending", work_pending(&a.work));
    item_release(&b);
    flush_workqueue(ordered);
    answer("runs", item_ended(&a));
    destroy_workqueue(ordered);
    destroy_workqueue(wq);
}

SCENARIO(Q03)
{
    struct kit_thread *drain;

    again_on = alloc_workqueue("q03", 0, 0);
    test_work_init_gated(&a);
    a.then = queue_again_five_times;
    queue_work(again_on, &a.work);
    item_await_begun(&a, 1);
    drain = kit_thread_on(3, thread_drain_workqueue, again_on);
    answer("waits", still_waits(drain));
    item_release(&a);
    kit_join(drain);
    answer("runs", item_ended(&a));
    answer("pending", work_pending(&a.work));
    destroy_workqueue(again_on);
}

SCENARIO(Q05)
{
    struct workqueue_struct *wq = alloc_ordered_workqueue("q05", 0);
    struct kit_thread *destroy;

    test_work_init_gated(&a);
    test_work_init(&b);
    test_work_init(&c);
    queue_work(wq, &a.work);
    queue_work(wq, &b.work);
    queue_work(wq, &c.work);
    destroy = kit_thread_on(3, thread_destroy_workqueue, wq);
    answer("waits", still_waits(destroy));
    item_release(&a);
    kit_join(destroy);
    answer("a", item_ended(&a));
    answer("b", item_ended(&b));
    answer("c", item_ended(&c));
}

SCENARIO(Q06)
{
    again_on = alloc_workqueue("q06", 0, 0);
    test_work_init(&a);
    a.then = queue_again_thirty_times;
    queue_work(again_on, &a.work);
    destroy_workqueue(again_on);
    answer("runs", item_ended(&a));
    answer("most", item_most(&a));
}

struct queueing {
    struct workqueue_struct *wq;
    struct work_struct *work;
};

static void thread_queue_work(void *arg)
{
    struct queueing *queueing = arg;

    queue_work(queueing->wq, queueing->work);
}

static void queue_on_cpu(int cpu, struct workqueue_struct *wq, struct test_work *item)
{
    struct queueing queueing = {wq, &item->work};

    kit_run_on(cpu, thread_queue_work, &queueing);
}

SCENARIO(Q07)
{
    static const int cpus[] = {0, 1, 2, 3, 0, 3};
    struct workqueue_struct *wq = alloc_ordered_workqueue("q07", 0);
    static struct kit_marks marks;
    unsigned int i;

    kit_marks_init(&marks);
    for (i = 0; i < ARRAY_SIZE(cpus); i++) {
        test_work_init_marked(&many[i], &marks, (char)('0' + i));
        many[i].run.is_gated = i == 0;
        queue_on_cpu(cpus[i], wq, &many[i]);
    }
    item_release(&many[0]);
    flush_workqueue(wq);
    answer_marks("order", &marks);
    destroy_workqueue(wq);
}

SCENARIO(Q08)
{
    struct workqueue_struct *wq = alloc_workqueue("q08", 0, 1);

    test_work_init_gated(&a);
    test_work_init_gated(&b);
    test_work_init_gated(&c);
    queue_work_on(1, wq, &a.work);
    item_await_begun(&a, 1);
    queue_work_on(1, wq, &b.work);
    queue_work_on(2, wq, &c.work);
    item_await_begun(&c, 1);
    kit_settle();
    answer("a", item_begun(&a));
    answer("b", item_begun(&b));
    answer("c", item_begun(&c));
    answer("congested1", workqueue_congested(1, wq));
    answer("congested2", workqueue_congested(2, wq));
    item_release(&a);
    item_await_begun(&b, 1);
    answer("c_inside", item_inside(&c));
    item_release(&b);
    item_release(&c);
    destroy_workqueue(wq);
}

/* How many of the first `count` of `many` are inside their function. */
static int many_inside(unsigned int count)
{
    unsigned int i;
    int inside = 0;

    for (i = 0; i < count; i++)
        inside += item_inside(&many[i]);
    return inside;
}

/* Initialises `count` of `many` with gates and queues them. */
static void queue_many(struct workqueue_struct *wq, int cpu, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        test_work_init_gated(&many[i]);
        queue_work_on(cpu, wq, &many[i].work);
    }
}

static void release_many(unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++)
        item_release(&many[i]);
}

SCENARIO(Q09)
{
    struct workqueue_struct *wq = alloc_workqueue("q09", 0, 2);

    queue_many(wq, 1, 3);
    kit_wait_until(many_inside(3) == 2);
    kit_settle();
    answer("running", many_inside(3));
    answer("third", item_begun(&many[2]));
    workqueue_set_max_active(wq, 3);
    kit_wait_until(many_inside(3) == 3);
    answer("after", many_inside(3));
    release_many(3);
    destroy_workqueue(wq);
}

SCENARIO(Q10)
{
    struct workqueue_struct *wq = alloc_workqueue("q10", 0, 0);

    queue_many(wq, 1, 6);
    kit_wait_until(many_inside(6) == 6);
    answer("running", many_inside(6));
    release_many(6);
    destroy_workqueue(wq);
}

SCENARIO(Q11)
{
    struct workqueue_struct *wq = alloc_workqueue("q11", WQ_UNBOUND, 1);

    test_work_init_gated(&a);
    test_work_init_gated(&b);
    queue_on_cpu(1, wq, &a);
    item_await_begun(&a, 1);
    queue_on_cpu(2, wq, &b);
    kit_settle();
    answer("a", item_inside(&a));
    answer("b", item_begun(&b));
    item_release(&a);
    item_await_begun(&b, 1);
    answer("a_ended", item_ended(&a));
    item_release(&b);
    destroy_workqueue(wq);
}

SCENARIO(Q12)
{
    struct workqueue_struct *wq = alloc_workqueue("q12", 0, 0);

    test_work_init_gated(&a);
    test_work_init(&b);
    queue_work_on(1, wq, &a.work);
    item_await_begun(&a, 1);
    queue_work_on(1, wq, &b.work);
    item_await_ended(&b, 1);
    answer("b", item_ended(&b));
    answer("a_inside", item_inside(&a));
    item_release(&a);
    destroy_workqueue(wq);
}

static atomic_t second_began;

/* Burns the CPU for 300 ms, or until another work has begun. */
static void burn(struct work_struct *work)
{
    struct test_work *self = container_of(work, struct test_work, work);
    int steps;

    item_run_begin(&self->run);
    for (steps = 0; steps < 300 && !item_begun(&d); steps++) {
        kit_burn_ms(1);
        cond_resched();
    }
    atomic_set(&second_began, item_begun(&d));
    kit_leave(&self->run.seen);
}

/* Whether `d` on `second` begins while `a` on `first` burns their CPU. */
static int begins_meanwhile(struct workqueue_struct *first, struct workqueue_struct *second)
{
    atomic_set(&second_began, -1);
    test_work_init(&a);
    INIT_WORK(&a.work, burn);
    test_work_init(&d);
    queue_work_on(1, first, &a.work);
    queue_work_on(1, second, &d.work);
    item_await_ended(&d, 1);
    item_await_ended(&a, 1);
    return atomic_read(&second_began);
}

SCENARIO(Q13)
{
    struct workqueue_struct *wq = alloc_workqueue("q13", 0, 0);

    answer("meanwhile", begins_meanwhile(wq, wq));
    destroy_workqueue(wq);
}

SCENARIO(Q14)
{
    struct workqueue_struct *intensive = alloc_workqueue("q14i", WQ_CPU_INTENSIVE, 0);
    struct workqueue_struct *wq = alloc_workqueue("q14", 0, 0);

    answer("meanwhile", begins_meanwhile(intensive, wq));
    destroy_workqueue(intensive);
    destroy_workqueue(wq);
}

SCENARIO(Q15)
{
    struct workqueue_struct *wq = alloc_workqueue("q15", 0, 1);

    answer("meanwhile", begins_meanwhile(wq, wq));
    destroy_workqueue(wq);
}

SCENARIO(Q16)
{
    struct workqueue_struct *wq = alloc_workqueue("q16", 0, 0);
    struct workqueue_struct *high = alloc_workqueue("q16h", WQ_HIGHPRI, 0);

    answer("meanwhile", begins_meanwhile(wq, high));
    destroy_workqueue(high);
    destroy_workqueue(wq);
}

SCENARIO(Q17)
{
    struct workqueue_struct *wq = alloc_workqueue("q17", WQ_UNBOUND, 0);

    queue_many(wq, WORK_CPU_UNBOUND, 6);
    kit_wait_until(many_inside(6) == 6);
    answer("running", many_inside(6));
    release_many(6);
    destroy_workqueue(wq);
}

SCENARIO(Q18)
{
    struct workqueue_struct *wq = create_workqueue("q18");

    test_work_init_gated(&many[0]);
    test_work_init_gated(&many[1]);
    queue_on_cpu(1, wq, &many[0]);
    queue_on_cpu(2, wq, &many[1]);
    kit_wait_until(many_inside(2) == 2);
    answer("per_cpu", many_inside(2));
    release_many(2);
    destroy_workqueue(wq);

    wq = create_singlethread_workqueue("q18s");
    test_work_init_gated(&many[0]);
    test_work_init_gated(&many[1]);
    queue_on_cpu(1, wq, &many[0]);
    queue_on_cpu(2, wq, &many[1]);
    item_await_begun(&many[0], 1);
    kit_settle();
    answer("single", many_inside(2));
    release_many(2);
    destroy_workqueue(wq);
}

SCENARIO(Q20)
{
    struct workqueue_struct *wq = alloc_workqueue("q20", 0, 0);
    struct kit_thread *flush[24];
    int i, early = 0, done = 0;

    test_work_init_gated(&a);
    queue_work(wq, &a.work);
    item_await_begun(&a, 1);
    for (i = 0; i < 24; i++)
        flush[i] = kit_thread_on(i % 4, thread_flush_workqueue, wq);
    kit_settle();
    for (i = 0; i < 24; i++)
        early += kit_thread_done(flush[i]);
    item_release(&a);
    for (i = 0; i < 24; i++) {
        kit_join(flush[i]);
        done += kit_thread_done(flush[i]);
    }
    answer("early", early);
    answer("done", done);
    destroy_workqueue(wq);
}

SCENARIO(Q24)
{
    struct workqueue_struct *wq = alloc_workqueue("q24", 0, 0);

    flush_workqueue(wq);
    test_work_init(&a);
    queue_work(wq, &a.work);
    flush_workqueue(wq);
    flush_workqueue(wq);
    answer("runs", item_ended(&a));
    destroy_workqueue(wq);
}

KIT_GROUP(queues, "queues", KIT_ROW(Q01), KIT_ROW(Q02), KIT_ROW(Q03), KIT_ROW(Q05), KIT_ROW(Q06),
          KIT_ROW(Q07), KIT_ROW(Q08), KIT_ROW(Q09), KIT_ROW(Q10), KIT_ROW(Q11), KIT_ROW(Q12), KIT_ROW(Q13),
          KIT_ROW(Q14), KIT_ROW(Q15), KIT_ROW(Q16), KIT_ROW(Q17), KIT_ROW(Q18), KIT_ROW(Q20), KIT_ROW(Q24));
