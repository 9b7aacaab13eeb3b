package control

import (
	"container/heap"
	"time"
)

// An upcoming is when a notification was to be sent.
type upcoming struct {
	at     time.Time
	notice *noticeEntry
}

// An upcomingQueue is a heap of them, the earliest first. What has been sent or put off
// meanwhile is skipped when it comes to the front.
type upcomingQueue []upcoming

func (q upcomingQueue) Len() int           { return len(q) }
func (q upcomingQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q upcomingQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *upcomingQueue) Push(e any)        { *q = append(*q, e.(upcoming)) }
func (q *upcomingQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = upcoming{}
	*q = (*q)[:last]
	return e
}

// first returns the notification that is sent next, nil if none is to be.
func (q *upcomingQueue) first() *noticeEntry {
	for len(*q) > 0 && !(*q)[0].notice.next.Equal((*q)[0].at) {
		heap.Pop(q)
	}
	if len(*q) == 0 {
		return nil
	}
	return (*q)[0].notice
}
