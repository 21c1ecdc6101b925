package flocker

import (
	"math"
	"regexp"

	"github.com/drover/drover/control/api/schema"
)

// The bodies of the calls that have one.
var (
	DatasetCreate = schema.Schema{
		Type: schema.Object,
		Properties: map[string]schema.Schema{
			"primary":      uuid,
			"dataset_id":   uuid,
			"deleted":      {Type: schema.Boolean},
			"metadata":     metadata,
			"maximum_size": maximumSize,
		},
		Required: []string{"primary"},
	}

	DatasetUpdate = schema.Schema{
		Type:       schema.Object,
		Properties: map[string]schema.Schema{"primary": uuid},
	}

	ContainerCreate = schema.Schema{
		Type: schema.Object,
		Properties: map[string]schema.Schema{
			"node_uuid":      uuid,
			"name":           {Type: schema.String, Pattern: regexp.MustCompile(`^/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)},
			"image":          text,
			"ports":          {Type: schema.Array, MinItems: 1, Unique: true, Items: &port},
			"environment":    {Type: schema.Object, Keys: regexp.MustCompile(`^.+$`), Values: &text},
			"restart_policy": restartPolicy,
			"command_line":   {Type: schema.Array, MaxItems: 4096, Items: &schema.Schema{Type: schema.String, MaxLength: 4096}},
			"swappiness":     {Type: schema.Integer, Range: &schema.Range{Min: 0, Max: 100}},
			"volumes":        {Type: schema.Array, MaxItems: 1, Items: &attachment},
			"cpu_shares":     {Type: schema.Integer, Range: &schema.Range{Min: 1, Max: 1024}},
			"memory_limit":   {Type: schema.Integer, Range: &schema.Range{Min: 1 << 20, Max: math.MaxInt64}},
			"links":          {Type: schema.Array, MinItems: 1, Unique: true, Items: &link},
		},
		Required: []string{"node_uuid", "name", "image"},
	}

	ContainerUpdate = schema.Schema{
		Type:       schema.Object,
		Properties: map[string]schema.Schema{"node_uuid": uuid},
		Required:   []string{"node_uuid"},
	}

	LeaseAcquire = schema.Schema{
		Type: schema.Object,
		Properties: map[string]schema.Schema{
			"dataset_id": {Type: schema.String, MinLength: 36, MaxLength: 36},
			"node_uuid":  uuid,
			"expires":    {Type: schema.Number, OrNull: true},
		},
		Required: []string{"dataset_id", "node_uuid", "expires"},
	}

	Compose = schema.Schema{
		Type: schema.Object,
		Properties: map[string]schema.Schema{
			"applications": {Type: schema.Object, Open: true},
			"deployment":   {Type: schema.Object, Open: true},
		},
		Required: []string{"applications", "deployment"},
	}
)

var (
	text = schema.Schema{Type: schema.String}

	uuid = schema.Schema{Type: schema.String, MinLength: 36, MaxLength: 36,
		Pattern: regexp.MustCompile(`^[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-4[A-Fa-f0-9]{3}-[89abAB][A-Fa-f0-9]{3}-[A-Fa-f0-9]{12}$`)}

	metadata = schema.Schema{Type: schema.Object, MaxProperties: 16,
		Keys:   regexp.MustCompile(`^.{1,256}$`),
		Values: &schema.Schema{Type: schema.String, MaxLength: 256}}

	// Flocker refused sizes that are not a multiple of 1024. Kubernetes asks for such sizes (1G
	// is 10^9), so they are rounded up instead: see CreateDataset. The upper bound leaves room
	// for that.
	maximumSize = schema.Schema{Type: schema.Integer, OrNull: true, Range: &schema.Range{Min: 64 << 20, Max: math.MaxInt64 - 1023}}

	// Flocker's schema let ports come without a number, or with any, and the server failed.
	port = schema.Schema{Type: schema.Object,
		Properties: map[string]schema.Schema{"internal": portNumber, "external": portNumber},
		Required:   []string{"internal", "external"}}

	portNumber = schema.Schema{Type: schema.Integer, Range: &schema.Range{Min: 1, Max: 65535}}

	link = schema.Schema{Type: schema.Object,
		Properties: map[string]schema.Schema{
			"alias":       {Type: schema.String, Pattern: regexp.MustCompile(`^[a-zA-Z0-9]+$`)},
			"local_port":  portNumber,
			"remote_port": portNumber,
		},
		Required: []string{"alias", "local_port", "remote_port"}}

	attachment = schema.Schema{Type: schema.Object,
		Properties: map[string]schema.Schema{
			"dataset_id": uuid,
			"mountpoint": {Type: schema.String, Pattern: regexp.MustCompile(`^\/.*$`)},
		},
		Required: []string{"dataset_id", "mountpoint"}}

	restartPolicy = schema.Schema{Type: schema.Object, Open: true, OneOf: []schema.Schema{
		{Type: schema.Object,
			Properties: map[string]schema.Schema{
				"name":                {Type: schema.String, Enum: []string{"on-failure"}},
				"maximum_retry_count": {Type: schema.Integer, Range: &schema.Range{Min: 1, Max: math.MaxInt32}},
			},
			Required: []string{"name"}},
		{Type: schema.Object,
			Properties: map[string]schema.Schema{"name": {Type: schema.String, Enum: []string{"never", "always"}}},
			Required:   []string{"name"}},
	}}
)
