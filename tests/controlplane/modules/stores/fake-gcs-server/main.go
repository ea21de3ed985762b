// Command fake-gcs-server serves fakestorage as its own command does, except that over TLS that one speaks HTTP/2 alone,
// which refuses every client that offers HTTP/1.1.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

func main() {
	root := flag.String("root", "", "folder of the buckets")
	host := flag.String("host", "", "what its URLs name, without a port")
	plain := flag.String("http", "", "host:port")
	secure := flag.String("https", "", "host:port")
	cert := flag.String("cert", "", "certificate")
	key := flag.String("key", "", "its key")
	flag.Parse()

	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		StorageRoot: *root,
		PublicHost:  *host,
		ExternalURL: "http://" + *plain,
		NoListener:  true,
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(*plain, server.HTTPHandler())) }()
	log.Fatal(http.ListenAndServeTLS(*secure, *cert, *key, server.HTTPHandler()))
}
