package control

import (
	"context"
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/store/backup"
)

// Backup returns all that the service must not lose, as it is in the store at one instant, in the form of
// package backup.
func (s *Service) Backup(ctx context.Context) ([]byte, error) {
	kept, revision, err := s.store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	return backup.Backup{Cluster: s.options.Cluster, Version: s.options.Version, Taken: s.clock.wall(),
		Revision: revision, Records: kept}.Encode(), nil
}

// CheckBackup reads a backup to its last record, as a service that starts on it would. What it could not
// start on is cluster.ErrInvalid.
func CheckBackup(data []byte) (backup.Backup, error) {
	b, err := backup.Decode(data)
	if err != nil {
		return backup.Backup{}, fmt.Errorf("check the backup: %w", err)
	}
	if _, err := records.Load(b.Records, b.Revision); err != nil {
		return backup.Backup{}, fmt.Errorf("check the backup: %w: %w", cluster.ErrInvalid, err)
	}
	return b, nil
}
