// Command fake-gcs-server serves fakestorage with what tests of a client need and its own command leaves out: HTTP/1.1
// over TLS, accounts (accounts.go), and listings in pages (pages.go).
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
	account := flag.String("account", "", "RSA key of the one account, as PEM")
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
	handler, err := guarded(paged(server, *host), *account)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(*plain, handler)) }()
	log.Fatal(http.ListenAndServeTLS(*secure, *cert, *key, handler))
}
