package deploy

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/cluster"
)

func (r *applicationReader) limits(app *value) cluster.Limits {
	limits := cluster.Limits{
		MemoryBytes: r.integer(app.get("mem_limit")),
		CPUShares:   int(r.integer(app.get("cpu_shares"))),
		Swappiness:  int(r.integer(app.get("swappiness"))),
	}
	if limits.Swappiness < 0 || limits.Swappiness > 100 {
		r.fail(app.get("swappiness"), "%d: want 0 to 100", limits.Swappiness)
	}
	return limits
}

func (r *applicationReader) restartPolicy(v *value) cluster.RestartPolicy {
	if !r.mapping(v, "{name: never | always | on-failure, maximum_retry_count}", "name", "maximum_retry_count") {
		return cluster.RestartPolicy{}
	}
	if v.get("name") == nil {
		r.missing(v, "name", r.prefix+"'restart_policy' must include a 'name'.", "one of always, never, on-failure")
	}
	policy := cluster.RestartPolicy{Name: cluster.RestartName(r.text(v.get("name")))}
	count := v.get("maximum_retry_count")
	policy.MaximumRetryCount = int(r.integer(count))
	if count != nil && count.kind == integer && policy.MaximumRetryCount == 0 {
		r.fail(count, "want 1 or more; without the key there is no bound")
	}
	return policy
}

func (r *applicationReader) stopPolicy(app *value) cluster.StopPolicy {
	policy := cluster.StopPolicy{Timeout: r.duration(app.get("stop_timeout")), Before: r.texts(app.get("before_stop"))}
	v := app.get("stop_signal")
	if v == nil {
		return policy
	}
	policy.Signal = "SIG" + strings.TrimPrefix(strings.ToUpper(v.text), "SIG")
	if v.kind != aString || unix.SignalNum(policy.Signal) == 0 {
		r.fail(v, `want a signal such as "SIGINT"; got %s`, v)
	}
	return policy
}

func (r *applicationReader) health(v *value) *cluster.HealthCheck {
	if !r.mapping(v, "{command, interval, timeout}", "command", "interval", "timeout") {
		return nil
	}
	if v.get("command") == nil {
		r.missing(v, "command", r.prefix+"Missing 'command' key.", "a list: the program and its arguments")
	}
	return &cluster.HealthCheck{
		Command:  r.texts(v.get("command")),
		Interval: r.duration(v.get("interval")),
		Timeout:  r.duration(v.get("timeout")),
	}
}
