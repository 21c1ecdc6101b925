package torture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Rsync returns what rsync would have to change to make the target what the source is, a line for
// each; nothing if they are the same.
func Rsync(ctx context.Context, source, target string) ([]string, error) {
	args := []string{"-aHAXSn", "--checksum", "--delete", "--itemize-changes"}
	if os.Getuid() == 0 {
		// xfs shows access lists once more, which rsync would then want on other file systems too.
		args = append(args, "--filter=-x trusted.SGI_ACL_*")
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "rsync", append(args, source+"/", target+"/")...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("rsync: %w: %s", err, said.String())
	}
	if text := strings.TrimSpace(string(out) + said.String()); text != "" {
		return strings.Split(text, "\n"), nil
	}
	return nil, nil
}
