// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/parley-ipc/parley/auth"
	"github.com/parley-ipc/parley/transport"
)

type perRPC = credentials.PerRPCCredentials

// extras are what a Client adds to each call.
type extras struct {
	creds []perRPC
	stats []stats.Handler
}

// private says that nobody can listen in: TLS, or this machine's own memory
// and sockets. Plain TCP is not, whoever has made the connection.
func private(t transport.Conn) bool {
	if s, ok := t.(*stranger); ok {
		if _, ok := s.Conn.(*tls.Conn); ok {
			return true
		}
	}
	switch t.RemoteAddr().Network() {
	case "tcp", "tcp4", "tcp6":
		return false
	}
	return true
}

// credentials adds to md what each of the call's credentials asks for.
func (c *conn) credentials(ctx context.Context, method string, md metadata.MD, opts *callOptions, extra []perRPC) (metadata.MD, error) {
	md = md.Copy()
	if md == nil {
		md = metadata.MD{}
	}
	audience := "https://" + c.authority
	if i := strings.LastIndexByte(method, '/'); i > 0 {
		audience += method[:i]
	}
	for _, creds := range append(append([]perRPC(nil), extra...), opts.creds...) {
		if creds.RequireTransportSecurity() && !private(c.t) {
			return nil, status.Error(codes.Unauthenticated, "transport: cannot send secure credentials on an insecure connection")
		}
		data, err := creds.GetRequestMetadata(ctx, audience)
		if err != nil {
			if st, ok := status.FromError(err); ok {
				return nil, st.Err()
			}
			return nil, status.Errorf(codes.Internal, "transport: per-RPC creds failed due to error: %v", err)
		}
		for k, v := range data {
			md.Append(strings.ToLower(k), v)
		}
	}
	return md, nil
}

// Bearer is credentials that present a token as "authorization: Bearer".
func Bearer(secret string) credentials.PerRPCCredentials { return bearer(secret) }

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// authorize asks the tokens and the policy about a call, on any door. It
// returns who is calling.
func (r *registry) authorize(ctx context.Context, id auth.Identity, md metadata.MD, secure bool, full string) (auth.Identity, error) {
	resource := "rpc:" + full
	if r.tokens != nil {
		if secret, ok := bearerOf(md); ok {
			if !secure {
				return id, status.Error(codes.Unauthenticated, "a token needs TLS or a local transport")
			}
			grant, err := r.tokens.Verify(secret)
			if err != nil {
				r.logger.Warn("token refused", "who", id.String(), "method", full, "error", err)
				return id, status.Error(codes.Unauthenticated, "the token is not valid")
			}
			id = grant.Identity
			if err := grant.Authorize(ctx, auth.Call, resource); err != nil {
				r.logger.Warn("denied by the token's scope", "who", id.String(), "method", full, "error", err)
				return id, errDenied(full)
			}
		}
	}
	if err := r.auth.Authorize(ctx, id, auth.Call, resource); err != nil {
		return id, errDenied(full)
	}
	return id, nil
}

func errDenied(full string) error {
	return status.Errorf(codes.PermissionDenied, "permission denied: %s", full)
}

func bearerOf(md metadata.MD) (string, bool) {
	for _, v := range md["authorization"] {
		if scheme, secret, ok := strings.Cut(v, " "); ok && strings.EqualFold(scheme, "bearer") {
			return secret, true
		}
	}
	return "", false
}

// authorize is the same for a call on our own framing.
func (s *serverStream) authorize() *status.Status {
	r := s.c.serves
	if r.owner && (r.tokens == nil || len(s.pairs) == 0) {
		if s.c.owner {
			return nil
		}
	}
	var md metadata.MD
	if r.tokens != nil {
		md = s.incoming()
	}
	before := s.c.t.Peer()
	id, err := r.authorize(s, before, md, private(s.c.t), s.m.full)
	if err != nil {
		return status.Convert(err)
	}
	if id.Name != before.Name || id.Method != before.Method { // a token's
		p := *s.peer
		p.AuthInfo = id
		s.peer = &p
	}
	return nil
}
