package runtime

import (
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
)

const (
	restartFirst = 100 * time.Millisecond
	restartMost  = 30 * time.Second
	// restartForget is how long an application must have run for its earlier ends not to count
	// against it.
	restartForget = 10 * time.Second
)

// Restart says whether an instance that ended by itself is started again, when, and why. Count is
// how often it has been already. Why it is not is said only where the policy would have it otherwise.
//
// The wait doubles with each restart, so that an application that ends at once does not keep
// its host busy; one that ran for a while starts over at the shortest wait.
func Restart(policy cluster.RestartPolicy, count int, ended Instance) (again bool, at time.Time, reason string) {
	switch policy.Name {
	case cluster.RestartAlways:
	case cluster.RestartOnFailure:
		if ended.ExitStatus == 0 {
			return false, time.Time{}, ""
		}
		if most := policy.MaximumRetryCount; most > 0 && count >= most {
			return false, time.Time{}, fmt.Sprintf("not started again: restarts used: %d of %d", count, most)
		}
	default:
		return false, time.Time{}, ""
	}
	wait := min(restartFirst<<min(count, 10), restartMost)
	if ended.Ended.Sub(ended.Started) >= restartForget {
		wait = restartFirst
	}
	return true, ended.Ended.Add(wait), fmt.Sprintf("it %s; restart policy %s, restart %d", ended.Reason, policy.Name, count+1)
}
