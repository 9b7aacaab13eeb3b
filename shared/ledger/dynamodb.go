//go:build dynamodb || !slim

package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

var dynamodbDriver = []driver{{"dynamodb", "dynamodb://TABLE?region=REGION", openDynamoDB}}

// A dynamo is the ledger in one table of DynamoDB. An item has these
// attributes; those of due are there only while it is due at some time, those of
// class only while it has one:
//
//	item_key     S  the partition key
//	version      N
//	body         B
//	commit_id    S  names the commit that wrote it
//	due          N  Unix milliseconds
//	due_shard    S  partition key of the index of what is due
//	due_place    S  its sort key: the time and the key, so that they sort as lists do
//	class        S  partition key of the index of classes
//	class_place  S  its sort key: the time under the class and the key
//
// Nothing ever expires: what is known of money does not go by itself.
type dynamo struct {
	client *dynamodb.Client
	http   *http.Client
	table  string

	known int // the schema of this program
	gate      // behind its comparison with the table's
}

// openDynamoDB takes //TABLE?region=REGION&endpoint=URL&create=true. The region
// is AWS_REGION by default. An endpoint is for what runs on one's own machine;
// region and credentials need not be set then.
//
// It does not connect, for a function that starts should not wait for what it
// may not need; only create=true makes the table at once if there is none.
func openDynamoDB(ctx context.Context, rest string, _ options) (store, error) {
	o, err := parseDynamoDB(rest)
	if err != nil {
		return nil, err
	}
	d := &dynamo{
		table: o.table,
		known: dynamoSchema,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				MaxIdleConnsPerHost: 100,
				IdleConnTimeout:     time.Minute,
				TLSHandshakeTimeout: callTimeout,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	d.client = dynamodb.New(dynamodb.Options{
		Region:       o.region,
		BaseEndpoint: o.endpoint,
		Credentials:  aws.NewCredentialsCache(dynamoCredentials(o.endpoint != nil)),
		HTTPClient:   d.http,
		Retryer:      aws.NopRetryer{}, // retry repeats, and has to know the outcome of each attempt
	})
	if o.create {
		if err := d.create(ctx); err != nil {
			d.http.CloseIdleConnections()
			return nil, err
		}
	}
	return d, nil
}

// dynamoOptions is what a URL says.
type dynamoOptions struct {
	table, region string
	endpoint      *string // nil: Amazon's for the region
	create        bool
}

// isDynamoTable reports whether a table may be called so. A regular expression
// for it costs every start of a function the better part of a millisecond.
func isDynamoTable(name string) bool {
	for _, c := range name {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("_.-", c) {
			return false
		}
	}
	return len(name) >= 3 && len(name) <= 255
}

func parseDynamoDB(rest string) (o dynamoOptions, err error) {
	rest, ok := strings.CutPrefix(rest, "//")
	table, query, _ := strings.Cut(rest, "?")
	if !ok || !isDynamoTable(table) {
		return o, errors.New("want dynamodb://TABLE?region=REGION, the table's name of 3 to 255 letters, digits, dots, dashes and underscores")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return o, fmt.Errorf("parameters: %w", err)
	}
	o.table = table
	for name, all := range values {
		if len(all) != 1 {
			return o, fmt.Errorf("parameter %q occurs %d times", name, len(all))
		}
		switch value := all[0]; name {
		case "region":
			o.region = value
		case "endpoint":
			if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return o, errors.New("the endpoint is not an http or https URL")
			}
			o.endpoint = aws.String(value)
		case "create":
			if value != "true" && value != "false" {
				return o, errors.New("create is neither true nor false")
			}
			o.create = value == "true"
		default:
			return o, fmt.Errorf("unknown parameter %q; known are region, endpoint and create", name)
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if o.region == "" {
			o.region = os.Getenv(name)
		}
	}
	if o.region == "" && o.endpoint != nil {
		o.region = "local"
	}
	if o.region == "" {
		return o, errors.New("the region is missing: neither the URL nor AWS_REGION names it")
	}
	return o, nil
}

// dynamoCredentials reads what functions and containers of Amazon's have in
// their environment: keys, or where to fetch them. The SDK's own chain also
// knows profiles and single sign-on; that is for workstations, and larger than
// all of the rest. local: if there is nothing, any will do.
func dynamoCredentials(local bool) aws.CredentialsProvider {
	endpoint := os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if path := os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); endpoint == "" && path != "" {
		endpoint = "http://169.254.170.2" + path
	}
	if endpoint != "" && os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		return endpointcreds.New(endpoint, func(o *endpointcreds.Options) {
			o.AuthorizationToken = os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
			if file := os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
				o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
					token, err := os.ReadFile(file) // it changes
					return strings.TrimSpace(string(token)), err
				})
			}
		})
	}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		c := aws.Credentials{
			AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
			SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
			SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
			Source:          "environment",
		}
		switch {
		case c.HasKeys():
			return c, nil
		case local:
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local", Source: "none needed"}, nil
		default:
			return c, errors.New("the environment has no AWS credentials")
		}
	})
}

// enter begins a call; the caller ends it by leave if there is no error. The first
// call looks at the table's schema.
func (d *dynamo) enter(ctx context.Context) (leave func(), err error) {
	return d.gate.enter(ctx, func() error { return d.upgradeSchema(ctx) })
}

func (d *dynamo) close() error {
	d.shut()
	d.http.CloseIdleConnections()
	return nil
}
