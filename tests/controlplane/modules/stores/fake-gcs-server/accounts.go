package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// bucket is the first part of all paths but those of the server itself, which begin with an underscore.
var bucket = regexp.MustCompile(`^(?:(?:/download|/upload)?/storage/v1/b)?/([^/_][^/]*)`)

// guarded lets everybody into buckets whose name begins with "public-", and into the others who has the account's key:
// by a token from /token, or by one that the client signed itself. Google takes both.
func guarded(next http.Handler, key string) (http.Handler, error) {
	pem, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	private, err := jwt.ParseRSAPrivateKeyFromPEM(pem)
	if err != nil {
		return nil, err
	}
	signed := func(token string) bool {
		_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return private.Public(), nil },
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
		return err == nil
	}
	given := "ya29." + rand.Text()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if !signed(r.PostFormValue("assertion")) {
			answer(w, http.StatusBadRequest, map[string]any{
				"error": "invalid_grant", "error_description": "Invalid JWT Signature.",
			})
			return
		}
		answer(w, http.StatusOK, map[string]any{"access_token": given, "expires_in": 3599, "token_type": "Bearer"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		found := bucket.FindStringSubmatch(r.URL.Path)
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case found == nil || token == given || token != "" && signed(token):
			next.ServeHTTP(w, r)
		case token != "":
			refuse(w, "Invalid Credentials")
		case strings.HasPrefix(found[1], "public-"):
			next.ServeHTTP(w, r)
		default:
			refuse(w, "Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket.")
		}
	})
	return mux, nil
}

func refuse(w http.ResponseWriter, message string) {
	answer(w, http.StatusUnauthorized, map[string]any{
		"error": map[string]any{"code": http.StatusUnauthorized, "message": message},
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
