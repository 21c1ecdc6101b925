package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// The labels of containers. The first three are for people: `docker ps --filter
// label=drover.application=db`.
const (
	labelApplication = "drover.application"
	labelVolume      = "drover.volume"
	labelEpoch       = "drover.epoch"
	labelFingerprint = "drover.fingerprint"
	labelEndpoints   = "drover.endpoints"
	labelHealth      = "drover.health"
	labelPatience    = "drover.patience"
	labelRole        = "drover.role"
	labelPrefix      = "drover.prefix"
	labelScratch     = "drover.scratch"
	labelPath        = "drover.path" // of volumes: where they belong

	roleApplication = "application"
	roleSandbox     = "sandbox"
)

func (r *Runtime) containerName(name cluster.AppName) string {
	return r.o.Prefix + "-" + string(name)
}

func (r *Runtime) sandboxName(name cluster.AppName) string {
	return r.containerName(name) + sandboxSuffix
}

// sandboxSuffix tells the container of an application's network from its own.
const sandboxSuffix = ".sandbox"

// made is what the labels of a container say.
type made struct {
	name        cluster.AppName
	volume      cluster.VolumeID
	epoch       cluster.Epoch
	fingerprint string
	endpoints   map[int]string
	health      *cluster.HealthCheck
	patience    time.Duration
	// scratch are the paths whose content goes with the container.
	scratch []string
}

func (r *Runtime) labels(spec runtime.Spec, role string, endpoints map[int]string) map[string]string {
	labels := map[string]string{labelPrefix: r.o.Prefix, labelRole: role, labelApplication: string(spec.Application.Name)}
	if role != roleApplication {
		return labels
	}
	labels[labelFingerprint] = spec.Fingerprint()
	labels[labelEndpoints] = plainJSON(endpoints)
	labels[labelScratch] = plainJSON(spec.Application.Scratch)
	labels[labelPatience] = spec.Application.Stop.Patience().String()
	if spec.Application.Health != nil {
		labels[labelHealth] = plainJSON(spec.Application.Health)
	}
	if v := spec.Application.Volume; v != nil {
		labels[labelVolume] = string(v.Volume)
		labels[labelEpoch] = strconv.FormatUint(uint64(spec.Epoch), 10)
	}
	return labels
}

func plainJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data always marshals
	}
	return string(b)
}

// readLabels reads what labels wrote. What somebody has changed by hand reads as another
// definition, which is replaced.
func readLabels(labels map[string]string) made {
	m := made{name: cluster.AppName(labels[labelApplication]), volume: cluster.VolumeID(labels[labelVolume]),
		fingerprint: labels[labelFingerprint]}
	epoch, _ := strconv.ParseUint(labels[labelEpoch], 10, 64)
	m.epoch = cluster.Epoch(epoch)
	if json.Unmarshal([]byte(labels[labelEndpoints]), &m.endpoints) != nil {
		m.fingerprint = ""
	}
	var err error
	if m.patience, err = time.ParseDuration(labels[labelPatience]); err != nil || m.patience <= 0 {
		m.patience = cluster.DefaultStopTimeout
	}
	if json.Unmarshal([]byte(labels[labelScratch]), &m.scratch) != nil {
		m.scratch = nil // then all of its content is kept
	}
	if h := labels[labelHealth]; h != "" && json.Unmarshal([]byte(h), &m.health) != nil {
		m.fingerprint = ""
	}
	return m
}

// application is the container that an application runs in.
func (r *Runtime) application(spec runtime.Spec, endpoints map[int]string, own []mount.Mount) client.ContainerCreateOptions {
	app := spec.Application
	host := &container.HostConfig{
		NetworkMode:   container.NetworkMode("container:" + r.sandboxName(app.Name)),
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		Mounts:        own,
		Resources:     container.Resources{Memory: app.Limits.MemoryBytes, CPUShares: int64(app.Limits.CPUShares)},
	}
	if app.Limits.Swappiness > 0 {
		swappiness := int64(app.Limits.Swappiness)
		host.MemorySwappiness = &swappiness
	}
	if app.Volume != nil {
		// A bind of this form need not exist yet: on the target of a move it appears last.
		host.Binds = []string{spec.VolumePath + ":" + app.Volume.Mountpoint}
	}
	return client.ContainerCreateOptions{
		Name: r.containerName(app.Name),
		Config: &container.Config{
			Image: app.Image, Cmd: app.Command, User: app.User, Env: environment(spec),
			Labels: r.labels(spec, roleApplication, endpoints), StopSignal: app.Stop.Signal,
		},
		HostConfig: host,
	}
}

// sandbox is the container that holds the network.
func (r *Runtime) sandbox(spec runtime.Spec, image string, endpoints map[int]string) (client.ContainerCreateOptions, error) {
	host := &container.HostConfig{
		PortBindings:  network.PortMap{},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
	}
	exposed := network.PortSet{}
	for internal, endpoint := range endpoints {
		address, err := netip.ParseAddrPort(endpoint)
		if err != nil {
			return client.ContainerCreateOptions{}, fmt.Errorf("%w: publish at %s: %w", cluster.ErrInvalid, endpoint, err)
		}
		port, ok := network.PortFrom(uint16(internal), network.TCP)
		if !ok {
			return client.ContainerCreateOptions{}, fmt.Errorf("%w: there is no port %d", cluster.ErrInvalid, internal)
		}
		exposed[port] = struct{}{}
		host.PortBindings[port] = []network.PortBinding{{HostIP: address.Addr(), HostPort: strconv.Itoa(int(address.Port()))}}
	}
	for _, link := range spec.Application.Links {
		host.ExtraHosts = append(host.ExtraHosts, link.Alias+":"+spec.Address)
	}
	return client.ContainerCreateOptions{
		Name: r.sandboxName(spec.Application.Name),
		Config: &container.Config{
			Image: image, Hostname: hostname(spec.Application.Name), ExposedPorts: exposed,
			Labels: r.labels(spec, roleSandbox, nil), StopSignal: "SIGKILL",
		},
		HostConfig: host,
	}, nil
}

// hostname makes a host name of an application's name.
func hostname(name cluster.AppName) string {
	return strings.Trim(strings.NewReplacer("_", "-", ".", "-").Replace(string(name)), "-")
}

// environment is what Drover tells the application, then the links, then what the user wrote.
//
//	DROVER_APPLICATION      its name
//	DROVER_ADDR             the address to listen on
//	DROVER_PORT_<internal>  the port to listen on for that internal port
//	DROVER_VOLUME           where its volume is
func environment(spec runtime.Spec) []string {
	app := spec.Application
	set := map[string]string{"DROVER_APPLICATION": string(app.Name), "DROVER_ADDR": "0.0.0.0"}
	if app.Volume != nil {
		set["DROVER_VOLUME"] = app.Volume.Mountpoint
	}
	for _, p := range app.Ports {
		set["DROVER_PORT_"+strconv.Itoa(p.Internal)] = strconv.Itoa(p.Internal)
	}
	for _, link := range app.Links {
		maps.Copy(set, link.Environment(spec.Address))
	}
	maps.Copy(set, app.Environment)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		list = append(list, name+"="+set[name])
	}
	return list
}

// chooseEndpoints picks a free port of the private address for each internal port. The choice
// stays with the containers, so that the same ports serve after a restart.
func chooseEndpoints(spec runtime.Spec) (map[int]string, error) {
	endpoints := map[int]string{}
	for _, p := range spec.Application.Ports {
		l, err := net.Listen("tcp", net.JoinHostPort(spec.PublishAddress(), "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close() // at the end, so that no two are the same
		endpoints[p.Internal] = l.Addr().String()
	}
	return endpoints, nil
}
