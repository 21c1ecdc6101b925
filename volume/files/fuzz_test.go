package files

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func FuzzStream(f *testing.F) {
	data := []byte("data")
	f.Add(hostile(f, func(w *streamWriter) {
		w.entry(&entry{path: "d", kind: kindDir, mode: 0o755})
		w.entry(&entry{path: "d/f", kind: kindFile, mode: 0o644, size: 4, xattrs: []attribute{{"user.a", []byte("b")}}})
		w.block(0, hashOf(data), data)
		w.entry(&entry{path: "l", kind: kindHardlink, target: "d/f"})
		w.entry(&entry{path: "s", kind: kindFile, mode: 0o644, size: 1 << 40})
		w.zeros(3, 5)
		w.frame(frameUpTo, []byte("t"))
		w.frame(frameDigest, make([]byte, len(hash{})))
	}).Bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		outside := t.TempDir()
		root := filepath.Join(outside, "root")
		if err := os.Mkdir(root, 0o700); err != nil {
			t.Fatal(err)
		}
		in, err := newStreamReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		if _, err := in.header(); err != nil {
			return
		}
		base, err := openItems("")
		if err != nil {
			t.Fatal(err)
		}
		tree, err := openTree(root, base)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.close()
		if _, err := tree.apply(in); err == nil {
			_ = tree.rest() // most are not valid
		}
		if all, _ := os.ReadDir(outside); len(all) != 1 {
			t.Fatalf("something was made outside: %v", all)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add((&entry{path: "f", kind: kindFile, mode: 0o644, size: 4, mtime: moment{-5, 7}, xattrs: []attribute{{"user.a", []byte("b")}}}).append(nil))
	f.Add((&entry{path: "l", kind: kindSymlink, target: "f"}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{b: b}
		e, err := d.entry()
		if err != nil {
			return
		}
		again := decoder{b: e.append(nil)}
		same, err := again.entry()
		if err != nil || !e.same(&same) {
			t.Fatalf("%+v came back as %+v, %v", e, same, err)
		}
	})
}

func FuzzListing(f *testing.F) {
	path := filepath.Join(f.TempDir(), "listing")
	w, err := newListing(path, header{began: moment{1, 2}, boot: "b"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	next := &successor{w: w}
	var r runs
	r.add(hash{1}, 1)
	r.add(zeroHash, 7)
	e := &entry{path: "", kind: kindDir}
	if err := next.put(e, nil); err != nil {
		f.Fatal(err)
	}
	e = &entry{path: "f", kind: kindFile, size: 8 * blockSize}
	if err := r.finish(e); err != nil {
		f.Fatal(err)
	}
	if err := next.put(e, &r); err != nil {
		f.Fatal(err)
	}
	if err := next.leave(seen{}); err != nil {
		f.Fatal(err)
	}
	if _, err := next.close(Sum{}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	unpacked, err := openListing(path)
	if err != nil {
		f.Fatal(err)
	}
	defer unpacked.close()
	f.Add(whole[len(listingMagic):], true)
	plain, err := os.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	defer plain.Close()
	f.Add([]byte{recordEntry, 3, 1, 2, 3}, false)
	f.Fuzz(func(t *testing.T, b []byte, packed bool) {
		l := &listingReader{file: plain, in: bufferOf(b)}
		if packed { // what the file holds, and not only what zstd lets through
			in := filepath.Join(t.TempDir(), "listing")
			if err := os.WriteFile(in, append([]byte(listingMagic), b...), 0o600); err != nil {
				t.Fatal(err)
			}
			var err error
			if l, err = openListing(in); err != nil {
				return
			}
			defer l.close()
		}
		i := &items{l: l}
		for i.advance() == nil && i.e != nil {
			held := blocks{of: i}
			for range 4 {
				if _, _, err := held.next(1 << 40); err != nil {
					return
				}
			}
		}
	})
}

func FuzzRuns(f *testing.F) {
	f.Add([]byte{1, 0, 0, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r runs
		for _, n := range b {
			if n == 0 {
				r.add(zeroHash, 1)
			} else {
				r.add(hash{n}, 1)
			}
		}
		if err := r.finish(&entry{size: int64(len(b)) * blockSize}); err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		err := r.each(func(rec record) error {
			d := decoder{b: rec.payload}
			if rec.kind == recordZeros {
				n += int64(d.uvarint())
			} else {
				n += int64(len(rec.payload) / len(hash{}))
			}
			return nil
		})
		if err != nil || n != int64(len(b)) {
			t.Fatalf("%d blocks of %d, %v", n, len(b), err)
		}
	})
}

func bufferOf(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }
