package records

import (
	"testing"

	"github.com/drover/drover/cluster"
)

func TestTheIndexFollowsASwapOfVolumes(t *testing.T) {
	app := func(name cluster.AppName, id cluster.VolumeID) *cluster.Application {
		return &cluster.Application{Name: name, Volume: &cluster.Attachment{Volume: id}}
	}
	for _, xFirst := range []bool{true, false} {
		i := new(Index)
		i.application(nil, app("x", "1"))
		i.application(nil, app("y", "2"))
		swap := []func(){
			func() { i.application(app("x", "1"), app("x", "2")) },
			func() { i.application(app("y", "2"), app("y", "1")) },
		}
		if !xFirst {
			swap[0], swap[1] = swap[1], swap[0]
		}
		for _, change := range swap {
			change()
		}
		if i.Users.At("1") != "y" || i.Users.At("2") != "x" {
			t.Errorf("x first %t: after the swap the users are %v", xFirst, i.Users)
		}
	}
}
