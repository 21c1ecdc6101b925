package main

import (
	"cmp"
	"os"

	"github.com/spf13/pflag"

	"github.com/drover/drover/control/client"
)

// connectOptions are how a command of the user finds the control service and proves who it is.
type connectOptions struct {
	control string
	pki     string
	user    string
}

func (o *connectOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.control, "control", controlAddress(),
		"`HOST:PORT` of the control service (DROVER_CONTROL)")
	f.StringVar(&o.pki, "pki", cmp.Or(os.Getenv("DROVER_PKI"), "."),
		"`DIR`ectory with cluster.crt, user.crt and user.key, or the file of \"drover user add\" (DROVER_PKI)")
	f.StringVar(&o.user, "user", cmp.Or(os.Getenv("DROVER_USER"), "user"),
		"`NAME` of the certificate and key files in that directory, without their endings (DROVER_USER)")
}

func (o *connectOptions) client() (*client.Client, error) {
	return client.FromFiles(o.control, o.pki, o.user)
}

// controlAddress is where the control service is, unless a command is told otherwise.
func controlAddress() string { return cmp.Or(os.Getenv("DROVER_CONTROL"), "localhost:4523") }
