package cluster

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The ids are those that Flocker derives: Python's UUID(bytes=md5(name), version=4).
func TestVolumeIDForNameIsFlockers(t *testing.T) {
	for name, want := range map[AppName]VolumeID{
		"postgres-volume-example": "0df95ac0-4c36-4596-8fcf-4f6755959908",
		"mysql-volume-example":    "686992ba-bb80-4704-931e-0841b0174dff",
		"db":                      "d77d5e50-3ad1-439f-985a-c494268b351b",
		"a.b_c-d":                 "3c52b28a-e7eb-4807-a180-cd1478eaffae",
		"Ünï":                     "4d0f201b-d997-4af4-ab8a-93531b0cf6cf",
		"":                        "d41d8cd9-8f00-4204-a980-0998ecf8427e",
	} {
		got := VolumeIDForName(name)
		if got != want || !IsUUID(string(got)) {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

func TestLinkEnvironment(t *testing.T) {
	for _, row := range []struct {
		rule    string
		link    Link
		address string
		want    map[string]string
	}{
		{"as Docker's links did", Link{LocalPort: 3306, RemotePort: 13306, Alias: "mysql"}, "10.0.0.1", map[string]string{
			"MYSQL_PORT_3306_TCP":       "tcp://10.0.0.1:13306",
			"MYSQL_PORT_3306_TCP_PROTO": "tcp",
			"MYSQL_PORT_3306_TCP_ADDR":  "10.0.0.1",
			"MYSQL_PORT_3306_TCP_PORT":  "13306",
		}},
		{"dashes become underscores", Link{LocalPort: 1, RemotePort: 2, Alias: "My-Big-DB_2"}, "127.0.0.2", map[string]string{
			"MY_BIG_DB_2_PORT_1_TCP":       "tcp://127.0.0.2:2",
			"MY_BIG_DB_2_PORT_1_TCP_PROTO": "tcp",
			"MY_BIG_DB_2_PORT_1_TCP_ADDR":  "127.0.0.2",
			"MY_BIG_DB_2_PORT_1_TCP_PORT":  "2",
		}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if got := row.link.Environment(row.address); !reflect.DeepEqual(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestStopPatience(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		0: DefaultStopTimeout, -1: DefaultStopTimeout, 1: 1, time.Minute: time.Minute,
	} {
		if got := (StopPolicy{Timeout: timeout}).Patience(); got != want {
			t.Errorf("%s: got %s, want %s", timeout, got, want)
		}
	}
}

// fullApplication has something in every field.
func fullApplication() Application {
	return Application{
		Name: "db", Image: "x", Command: []string{"c"}, Ports: []Port{{1, 2}}, Links: []Link{{1, 2, "a"}},
		Environment: map[string]string{"A": "1"}, Volume: &Attachment{"v", "/d"}, Limits: Limits{1, 2, 3},
		Restart: RestartPolicy{RestartOnFailure, 2}, Stop: StopPolicy{"SIGINT", time.Second, []string{"b"}}, User: "u",
		Health: &HealthCheck{[]string{"h"}, 1, 2}, Node: "n", Scratch: []string{"/s"},
	}
}

func TestApplicationCloneIsEqualAndSharesNothing(t *testing.T) {
	original, copied := fullApplication(), fullApplication().Clone()
	v := reflect.ValueOf(copied)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("field %s of the test's application is empty: fill it", v.Type().Field(i).Name)
		}
	}
	if !reflect.DeepEqual(original, copied) {
		t.Errorf("got %+v, want %+v", copied, original)
	}
	again := copied.Clone()
	again.Command[0], again.Ports[0].Internal, again.Links[0].Alias = "-", 9, "-"
	again.Environment["A"], again.Volume.Mountpoint, again.Health.Command[0], again.Stop.Before[0] = "-", "-", "-", "-"
	again.Scratch[0] = "-"
	again.Health.Interval = 9
	if !reflect.DeepEqual(original, copied) {
		t.Errorf("a change of the clone changed the original: %+v", copied)
	}
}

// TestMayLeave: an application leaves nothing behind that its user did not give up.
func TestMayLeave(t *testing.T) {
	app := Application{Name: "db", Scratch: []string{"/cache"}, Volume: &Attachment{Mountpoint: "/data/"}}
	if err := app.MayLeave("a", []string{"/cache", "/data"}); err != nil {
		t.Errorf("what is covered and what may be lost: %v", err)
	}
	err := app.MayLeave("a", []string{"/cache", "/uploads"})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "/uploads") || strings.Contains(err.Error(), "/cache") || Hint(err) == "" {
		t.Errorf("got %v (%s), want ErrRefused that names what would be lost alone, and the ways out", err, Hint(err))
	}
}

func TestCloneOfTheZeroApplicationIsZero(t *testing.T) {
	if got := (Application{}).Clone(); !reflect.DeepEqual(got, Application{}) {
		t.Errorf("got %+v", got)
	}
}
