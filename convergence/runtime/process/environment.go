package process

import (
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// environment is what the application sees: nothing of the agent's own but PATH, then what
// Drover tells it, then the links, then what the user wrote.
//
//	DROVER_APPLICATION      its name
//	DROVER_ADDR             the address to listen on
//	DROVER_PORT_<internal>  the port to listen on for that internal port
//	DROVER_VOLUME           where its volume is
func (i *instance) environment() []string {
	spec := i.made.Spec
	set := map[string]string{
		"PATH":               os.Getenv("PATH"),
		"DROVER_APPLICATION": string(spec.Application.Name),
		"DROVER_ADDR":        spec.PublishAddress(),
	}
	name := spec.Application.User
	if u, err := user.Lookup(name); name != "" && err == nil {
		set["HOME"], set["USER"], set["LOGNAME"] = u.HomeDir, u.Username, u.Username
	} else if home := os.Getenv("HOME"); home != "" {
		set["HOME"] = home
	}
	if spec.VolumePath != "" {
		set["DROVER_VOLUME"] = spec.VolumePath
	}
	for internal, port := range i.made.Ports {
		set["DROVER_PORT_"+strconv.Itoa(internal)] = strconv.Itoa(port)
	}
	for _, link := range spec.Application.Links {
		maps.Copy(set, link.Environment(spec.Address))
	}
	maps.Copy(set, spec.Application.Environment)
	set[tokenVariable] = i.made.Token // last: the instance is found by it
	list := make([]string, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		list = append(list, name+"="+set[name])
	}
	return list
}
