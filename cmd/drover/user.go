package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/internal/pki"
)

func newUser(io_ stdio) *cobra.Command {
	return group(&cobra.Command{Use: "user", Short: "Say who may use the cluster"}, newUserAdd(io_), newUserLs(io_), newUserRm(io_))
}

// authorityOptions say where the cluster's authority is, and with it the record of its users.
type authorityOptions struct{ authority string }

func (o *authorityOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.authority, "authority", controlPKI, "`DIR`ectory with cluster.crt and cluster.key")
}

func (o *authorityOptions) open() (*pki.Authority, error) {
	a, err := pki.Open(o.authority)
	return a, cluster.WithHint(err, "run it where the control service keeps its certificates, or say with --authority where they are")
}

type userAddOptions struct {
	stdio
	authorityOptions
	control, name, file string
}

func (o *userAddOptions) addFlags(f *pflag.FlagSet) {
	o.authorityOptions.addFlags(f)
	f.StringVar(&o.control, "control", controlAddress(), "`HOST:PORT` of the control service, which knows who was removed (DROVER_CONTROL)")
	f.StringVar(&o.file, "file", "", "`FILE` to make (default: NAME.pem)")
}

func newUserAdd(io_ stdio) *cobra.Command {
	o := userAddOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "add NAME",
		Short: "Make a user: the file by which he or she may use the cluster",
		Long: `Make a user, signed by the cluster's authority: a file with all that he or she needs, to be given to --pki or
DROVER_PKI. Run it where the control service keeps its certificates. A name is given once, so that who was
removed stays out: one that was made elsewhere and removed is known to the control service alone, which is
asked, if it can be reached.`,
	}, &o, runUserAdd, &o.name)
}

func runUserAdd(ctx context.Context, o userAddOptions) error {
	a, err := o.open()
	if err != nil {
		return err
	}
	if err := o.admitted(ctx); err != nil {
		return err
	}
	file := cmp.Or(o.file, o.name+".pem")
	if err := a.AddUser(o.name, file); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%s is ready for user %s, who sets DROVER_PKI to it. It holds a secret key: carry it over a secure channel.\n", file, o.name)
	return nil
}

// admitted returns an error if the control service refuses who has that name. That it cannot be asked is said,
// and no more.
func (o *userAddOptions) admitted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var removed []cluster.Revocation
	control, err := client.FromFiles(o.control, o.authority, pki.User)
	if err == nil {
		removed, err = control.Revocations(ctx)
	}
	if err != nil {
		fmt.Fprintf(o.err, "note: whether a user %s was removed before is not known: %s\n", cluster.Printable(o.name), cluster.Message(err))
	}
	for _, r := range removed {
		if r.User == o.name {
			err := fmt.Errorf("%w: user %s was removed %s by %s, and stays out", cluster.ErrExists, o.name, r.Revoked.Local().Format(time.DateTime), r.By)
			return cluster.WithHint(err, "choose another name; drover user ls lists all")
		}
	}
	return nil
}

type userLsOptions struct {
	remoteOptions
	authorityOptions
}

func (o *userLsOptions) addFlags(f *pflag.FlagSet) {
	o.remoteOptions.addFlags(f)
	o.authorityOptions.addFlags(f)
}

// A listedUser is a user whom the authority has made, or whom the control service was told to refuse.
type listedUser struct {
	pki.UserCertificate
	Removed *cluster.Revocation `json:"removed,omitempty"`
}

func newUserLs(io_ stdio) *cobra.Command {
	o := userLsOptions{remoteOptions: remoteOptions{stdio: io_}}
	return command(&cobra.Command{
		Use:   "ls",
		Short: "List the users, and who was removed",
		Long: `List the users whom the cluster's authority has made, and those who were removed. Run it where the control
service keeps its certificates.`,
	}, &o, runUserLs)
}

func runUserLs(ctx context.Context, o userLsOptions) error {
	a, err := o.open()
	if err != nil {
		return err
	}
	made, err := a.Users()
	if err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	removed, err := control.Revocations(ctx)
	if err != nil {
		return err
	}
	users := listUsers(made, removed)
	return o.print(o.out, users, func(w io.Writer) { printUsers(w, users) })
}

// listUsers returns all users of both lists, by name.
func listUsers(made []pki.UserCertificate, removed []cluster.Revocation) []listedUser {
	users := []listedUser{}
	for _, u := range made {
		users = append(users, listedUser{UserCertificate: u})
	}
	for _, r := range removed {
		known := false
		for i := range users {
			if users[i].Name == r.User {
				users[i].Removed, known = &r, true
			}
		}
		if !known {
			users = append(users, listedUser{UserCertificate: pki.UserCertificate{Name: r.User}, Removed: &r})
		}
	}
	slices.SortStableFunc(users, func(a, b listedUser) int { return cmp.Compare(a.Name, b.Name) })
	return users
}

func printUsers(w io.Writer, users []listedUser) {
	day := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Local().Format(time.DateOnly)
	}
	table(w, "NAME\tSERIAL\tMADE\tEXPIRES\tREMOVED", func(row func(...any)) {
		for _, u := range users {
			removed := "-"
			if u.Removed != nil {
				removed = u.Removed.Revoked.Local().Format(time.DateTime) + " by " + u.Removed.By
			}
			row(u.Name, dash(u.Serial), day(u.Made), day(u.Expires), removed)
		}
	})
}

type userRmOptions struct {
	stdio
	connectOptions
	authorityOptions
	name     string
	unlisted bool
}

func (o *userRmOptions) addFlags(f *pflag.FlagSet) {
	o.connectOptions.addFlags(f)
	o.authorityOptions.addFlags(f)
	f.BoolVar(&o.unlisted, "unlisted", false, "remove a user whom the record of the authority does not list, or without looking there")
}

func newUserRm(io_ stdio) *cobra.Command {
	o := userRmOptions{stdio: io_}
	return command(&cobra.Command{
		Use:   "rm NAME",
		Short: "Shut a user out, for good",
		Long: `Shut a user out, for good: the control service refuses every certificate with that name from then on. SSH keys
that he or she has are another thing: see "drover key ls". A user cannot be removed by his or her own certificate.`,
	}, &o, runUserRm, &o.name)
}

func runUserRm(ctx context.Context, o userRmOptions) error {
	if err := o.known(); err != nil {
		return err
	}
	control, err := o.client()
	if err != nil {
		return err
	}
	if err := control.RevokeUser(ctx, o.name); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "user %s may not use the cluster any more\n", o.name)
	return nil
}

// known returns an error unless there is such a user: a slip would leave in whoever was meant.
func (o *userRmOptions) known() error {
	if o.unlisted {
		return nil
	}
	a, err := o.open()
	if errors.Is(err, cluster.ErrNotFound) {
		return cluster.WithHint(err, "where it is not, nobody knows whether there is such a user: remove one all the same with --unlisted")
	}
	if err != nil {
		return err
	}
	users, err := a.Users()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(users, func(u pki.UserCertificate) bool { return u.Name == o.name }) {
		return cluster.WithHint(fmt.Errorf("user %s: %w on the record of the authority", cluster.Printable(o.name), cluster.ErrNotFound),
			"drover user ls lists them; one whose certificate was made elsewhere is removed with --unlisted")
	}
	return nil
}
