// Command front is the front of a linked pair: it passes requests on to the ledger that its link db
// leads to, over a new connection each, and asks again while that has no answer. What it passes on
// may be repeated: a write is the same by its id.
package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	// Of the link's variables, as any linked application reads them.
	ledger := "http://" + net.JoinHostPort(os.Getenv("DB_PORT_7000_TCP_ADDR"), os.Getenv("DB_PORT_7000_TCP_PORT"))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 90 * time.Second}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		for {
			request, err := http.NewRequestWithContext(r.Context(), r.Method, ledger+r.URL.Path, bytes.NewReader(body))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			response, err := client.Do(request)
			if err == nil {
				w.WriteHeader(response.StatusCode)
				_, err = io.Copy(w, response.Body)
				response.Body.Close()
				if err != nil {
					panic(http.ErrAbortHandler) // half an answer must not pass for a whole one
				}
				return
			}
			if r.Context().Err() != nil {
				return
			}
			log.Printf("the ledger does not answer, asking again: %v", err)
			time.Sleep(10 * time.Millisecond) // not at the full speed of the loop
		}
	})
	log.Fatal(http.ListenAndServe(net.JoinHostPort(os.Getenv("DROVER_ADDR"), os.Getenv("DROVER_PORT_80")), handler))
}
