package main

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// most is how many objects Google lists in one answer; fakestorage lists all of them, unless it is told otherwise.
const most = 1000

// listing is a page of the XML API, of which fakestorage knows neither pages nor a missing bucket.
type listing struct {
	fakestorage.ListBucketResult
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
}

// paged limits the listings of both APIs, and answers under whatever name it is called by.
func paged(server *fakestorage.Server, host string) http.Handler {
	next := server.HTTPHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = host // the one that fakestorage knows
		if strings.HasPrefix(r.Host, "storage.googleapis.com") {
			r.Host = host
		}
		query := r.URL.Query()
		if name := strings.Trim(r.URL.Path, "/"); query.Get("list-type") == "2" && !strings.Contains(name, "/") {
			list(w, server, name, fakestorage.ListOptions{
				Prefix:     query.Get("prefix"),
				Delimiter:  query.Get("delimiter"),
				PageToken:  query.Get("continuation-token"),
				MaxResults: limit(query.Get("max-keys")),
			})
			return
		}
		if strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/o") && r.Method == http.MethodGet {
			query.Set("maxResults", strconv.Itoa(limit(query.Get("maxResults"))))
			r.URL.RawQuery = query.Encode()
		}
		next.ServeHTTP(w, r)
	})
}

func limit(asked string) int {
	if number, err := strconv.Atoi(asked); err == nil && number > 0 && number < most {
		return number
	}
	return most
}

func list(w http.ResponseWriter, server *fakestorage.Server, name string, options fakestorage.ListOptions) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	found, err := server.ListObjectsWithOptionsPaginated(name, options)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte("<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist.</Message></Error>"))
		return
	}
	page := listing{IsTruncated: found.NextPageToken != "", NextContinuationToken: found.NextPageToken}
	page.Name, page.Prefix, page.KeyCount = name, options.Prefix, len(found.Objects)
	for _, prefix := range found.Prefixes {
		page.CommonPrefixes = append(page.CommonPrefixes, fakestorage.CommonPrefix{Prefix: prefix})
	}
	for _, object := range found.Objects {
		page.Contents = append(page.Contents, fakestorage.Contents{
			Key:          object.Name,
			Generation:   object.Generation,
			LastModified: object.Updated.Format(time.RFC3339),
			ETag:         fakestorage.ETag{Value: `"` + object.Etag + `"`},
			Size:         object.Size,
		})
	}
	w.Write([]byte(xml.Header))
	xml.NewEncoder(w).Encode(page)
}
