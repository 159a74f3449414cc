import type { KafkaRole } from "./kafka-rights.js";
import type { S3Config } from "./s3-config.js";
import { STORE_FOLDERS } from "./keys.js";

type StoreFolder = (typeof STORE_FOLDERS)[number];

/** What a role's processes do in the store, by its folders. Names can be listed by all: what is not there must be told from what is kept away. */
interface StoreRights {
  readonly reads: readonly StoreFolder[] | "all";
  readonly writes: readonly StoreFolder[] | "all";
  readonly deletes: readonly StoreFolder[] | "all";
  /** Opens images where records name them, in `sources.allow.buckets` */
  readonly opensImages: boolean;
}

/** What a stream is, by which every process goes */
const DECLARED = ["identity/", "formats/", "streams/", "datasets/", "logs/", "teachers/"] as const;
const READ = [...DECLARED, "models/", "controls/", "relocations/"] as const;
/** The same, and what is archived of images and said of them; what is erased is said there as well */
const ARCHIVE = [...READ, "scores/", "runs/", "labels/", "guards/"] as const;
const NONE = [] as const;

const SCORER = {
  reads: [...ARCHIVE, "packs/"],
  writes: [...DECLARED, "scores/", "packs/"],
  deletes: NONE,
  opensImages: true,
} as const;
const OBSERVER: StoreRights = { reads: "all", writes: NONE, deletes: NONE, opensImages: true };
const ALL: StoreRights = { reads: "all", writes: "all", deletes: "all", opensImages: true };

const RIGHTS: Readonly<Record<KafkaRole, StoreRights>> = {
  producer: { reads: READ, writes: NONE, deletes: NONE, opensImages: false },
  watcher: { reads: READ, writes: NONE, deletes: NONE, opensImages: false },
  scorer: SCORER,
  topk: {
    reads: [...ARCHIVE, "checkpoints/"],
    writes: [...DECLARED, "checkpoints/"],
    deletes: ["checkpoints/"],
    opensImages: false,
  },
  publisher: {
    reads: "all",
    writes: [...DECLARED, "labels/", "pins/", "versions/"],
    deletes: ["pins/", "versions/"],
    opensImages: true,
  },
  compactor: {
    reads: [...ARCHIVE, "packs/", "pins/"],
    writes: [...DECLARED, "runs/", "packs/", "pins/"],
    deletes: ["scores/", "runs/", "packs/", "pins/"],
    opensImages: false,
  },
  all: ALL,
  ingest: ALL,
  replayer: SCORER,
  labeller: { ...OBSERVER, writes: [...DECLARED, "labels/"] },
  observer: OBSERVER,
  administrator: ALL,
};

/** Where a store tries what a bucket can do; what is left there is in nobody's way. */
const PROBES = "probe-*";
/** What erasing takes in a bucket that keeps old versions of objects */
const OLD_VERSIONS = ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:ListBucketVersions"];

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
}

/** A policy as AWS and MinIO take it. */
export interface BucketPolicy {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

/** What a role needs of the bucket, and no more. `images`: buckets, or `bucket/prefix/`, that images may lie in. */
export function bucketPolicy(
  role: KafkaRole,
  { bucket, prefix }: Pick<S3Config, "bucket" | "prefix">,
  images: readonly string[],
): BucketPolicy {
  const { reads, writes, deletes, opensImages } = RIGHTS[role];
  const inBucket = `arn:aws:s3:::${bucket}`;
  const below = prefix === undefined ? inBucket : `${inBucket}/${prefix.replace(/\/+$/, "")}`;
  const objects = (folders: readonly StoreFolder[] | "all"): string[] =>
    folders === "all" ? [`${below}/*`] : [...new Set(folders)].map((folder) => `${below}/${folder}*`);
  const changes = writes.length > 0;
  const opened = opensImages ? images.map((place) => `arn:aws:s3:::${place.includes("/") ? place : `${place}/`}*`) : [];
  const ofOld = role === "administrator" ? OLD_VERSIONS : [];
  const listed: PolicyStatement = {
    Sid: "List",
    Effect: "Allow",
    Action: ["s3:ListBucket", "s3:GetBucketLocation", ...ofOld],
    Resource: [inBucket],
  };
  const probes = changes && writes !== "all" ? [`${below}/${PROBES}`] : [];
  return {
    Version: "2012-10-17",
    Statement: [
      listed,
      ...allowed("Read", ["s3:GetObject"], [...objects(reads), ...opened, ...(reads === "all" ? [] : probes)]),
      ...allowed(
        "Write",
        ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        [...(changes ? objects(writes) : []), ...probes],
      ),
      ...allowed(
        "Delete",
        ["s3:DeleteObject", ...(role === "administrator" ? ["s3:DeleteObjectVersion"] : [])],
        [...(deletes.length > 0 ? objects(deletes) : []), ...probes],
      ),
    ],
  };
}

function allowed(Sid: string, Action: readonly string[], Resource: readonly string[]): PolicyStatement[] {
  return Resource.length === 0 ? [] : [{ Sid, Effect: "Allow", Action, Resource }];
}
