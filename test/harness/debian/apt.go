package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keyring signs the archive. debootstrap checks with it too.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// listsAge is how long lists of packages are good enough.
const listsAge = 24 * time.Hour

// An Apt looks packages up and fetches them, also of contrib, which this machine's own apt may not
// have. Use NewApt.
type Apt struct{ dir string }

// NewApt returns an apt whose lists are below dir. They are fetched if they are missing or old; old
// ones do where the mirror can't be reached.
func NewApt(ctx context.Context, dir string) (*Apt, error) {
	a := &Apt{dir: dir}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	at, err := a.updated()
	if err == nil && time.Since(at) < listsAge {
		return a, nil
	}
	missing := err != nil
	if err := a.configure(ctx); err != nil {
		return nil, err
	}
	if err := run(a.command(ctx, "apt-get", "update", "--error-on=any")); err != nil {
		if missing {
			return nil, err
		}
		return a, nil
	}
	return a, os.WriteFile(a.stamp(), nil, 0o644)
}

func (a *Apt) stamp() string { return filepath.Join(a.dir, "updated") }

// updated is when the lists were fetched.
func (a *Apt) updated() (time.Time, error) {
	info, err := os.Stat(a.stamp())
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// Remember returns what ask returns, from a file of that name if it was asked since the lists were
// fetched: to look packages up takes a second.
func (a *Apt) Remember(name string, ask func() (string, error)) (string, error) {
	file := filepath.Join(a.dir, name)
	updated, err := a.updated()
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(file); err == nil && info.ModTime().After(updated) {
		b, err := os.ReadFile(file)
		return string(b), err
	}
	answer, err := ask()
	if err != nil {
		return "", err
	}
	return answer, os.WriteFile(file, []byte(answer), 0o644)
}

func (a *Apt) configure(ctx context.Context) error {
	found, _, err := sources(ctx)
	if err != nil {
		return err
	}
	var options string
	if _, err := os.Stat(keyring); err == nil {
		options = "[signed-by=" + keyring + "] "
	}
	var list []string
	for _, s := range found {
		if line := fmt.Sprintf("deb %s%s %s main contrib\n", options, s.site, s.release); !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	configuration := fmt.Sprintf(`Dir::State "%[1]s/state"; Dir::State::status "/var/lib/dpkg/status"; Dir::Cache "%[1]s/cache";
Dir::Etc::sourcelist "%[1]s/sources.list"; Dir::Etc::sourceparts "-"; APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false"; Acquire::Languages "none";
`, a.dir)
	return errors.Join(
		os.WriteFile(filepath.Join(a.dir, "sources.list"), []byte(strings.Join(list, "")), 0o644),
		os.WriteFile(filepath.Join(a.dir, "apt.conf"), []byte(configuration), 0o644))
}

func (a *Apt) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"), "LC_ALL=C")
	return cmd
}

// Version returns the newest version of a package.
func (a *Apt) Version(ctx context.Context, name string) (string, error) {
	return a.field(ctx, name, "Version")
}

// Depends returns the packages that a package depends on itself, the first of each alternative.
func (a *Apt) Depends(ctx context.Context, name string) ([]string, error) {
	value, err := a.field(ctx, name, "Depends")
	if err != nil {
		return nil, err
	}
	var names []string
	for dependency := range strings.SplitSeq(value, ",") {
		if words := strings.Fields(dependency); len(words) > 0 {
			names = append(names, words[0])
		}
	}
	return names, nil
}

func (a *Apt) field(ctx context.Context, name, field string) (string, error) {
	out, err := a.command(ctx, "apt-cache", "show", "--no-all-versions", name).Output()
	if err != nil {
		return "", fmt.Errorf("look up the package %s: %w", name, err)
	}
	for line := range strings.Lines(string(out)) {
		if value, ok := strings.CutPrefix(line, field+": "); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("the package %s has no %s", name, field)
}

// Unpack fetches packages and unpacks them into a tree. Their scripts do not run.
func (a *Apt) Unpack(ctx context.Context, tree string, names ...string) (err error) {
	debs, err := os.MkdirTemp(a.dir, "debs-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(debs)) }()
	download := a.command(ctx, "apt-get", append([]string{"download", "-qq"}, names...)...)
	download.Dir = debs
	if err := run(download); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := run(exec.CommandContext(ctx, "dpkg", "-x", file, tree)); err != nil {
			return err
		}
	}
	return nil
}
