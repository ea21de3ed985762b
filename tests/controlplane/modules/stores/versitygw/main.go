// Command versitygw is Versity's S3 gateway with the one backend that tests use: its own command has four, and takes
// twice as long to build.
package main

import (
	"context"
	"flag"
	"log"
	"os"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	root := flag.String("root", "", "folder of the buckets")
	sidecar := flag.String("sidecar", "", "folder of ETags, policies and all else that S3 knows of an object")
	listen := flag.String("listen", "", "host:port")
	cert := flag.String("cert", "", "certificate; with none, plain http")
	key := flag.String("key", "", "its key")
	flag.Parse()

	metadata, err := meta.NewSideCar(*sidecar)
	if err != nil {
		log.Fatal(err)
	}
	backend, err := posix.New(*root, metadata, posix.PosixOpts{SideCarDir: *sidecar})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(embedgw.RunVersityGW(context.Background(), backend, &embedgw.Config{
		RootUserAccess:    os.Getenv("ROOT_ACCESS_KEY"),
		RootUserSecret:    os.Getenv("ROOT_SECRET_KEY"),
		Ports:             []string{*listen},
		CertFile:          *cert,
		KeyFile:           *key,
		HealthPath:        "/health",
		KeepAlive:         true,
		MultipartMaxParts: 10_000,
		MaxConnections:    1000,
		MaxRequests:       1000,
		Quiet:             true,
	}))
}
