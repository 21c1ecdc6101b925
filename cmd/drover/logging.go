package main

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// logOptions are how a long-running role writes its log.
type logOptions struct {
	debug  bool
	asJSON bool
}

func (o *logOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.debug, "debug", false, "log every step and request")
	f.BoolVar(&o.asJSON, "log-json", false, "log JSON instead of key=value text")
}

func (o *logOptions) logger(w io.Writer) *slog.Logger {
	h := &slog.HandlerOptions{}
	if o.debug {
		h.Level = slog.LevelDebug
	}
	if o.asJSON {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}
