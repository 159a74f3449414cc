import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { KAFKA_ROLES } from "../../schemas/kafka-rights.js";
import { bucketPolicy } from "../../schemas/store-rights.js";
import { ROOT } from "../architecture/repository.js";

const S3 = { bucket: "sluice", prefix: "team/wild/" };
const below = (...folders: string[]): string[] => folders.map((folder) => `arn:aws:s3:::sluice/team/wild/${folder}*`);
const DECLARED = ["identity/", "formats/", "streams/", "datasets/", "logs/", "teachers/"];

test("a scorer's policy: below the prefix, and images where sources.allow has them", () => {
  const READ = [
    ...DECLARED,
    "models/",
    "controls/",
    "relocations/",
    "scores/",
    "runs/",
    "labels/",
    "guards/",
    "packs/",
  ];
  assert.deepEqual(bucketPolicy("scorer", S3, ["crawl", "other/2026/"]), {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "List",
        Effect: "Allow",
        Action: ["s3:ListBucket", "s3:GetBucketLocation"],
        Resource: ["arn:aws:s3:::sluice"],
      },
      {
        Sid: "Read",
        Effect: "Allow",
        Action: ["s3:GetObject"],
        Resource: [...below(...READ), "arn:aws:s3:::crawl/*", "arn:aws:s3:::other/2026/*", ...below("probe-")],
      },
      {
        Sid: "Write",
        Effect: "Allow",
        Action: ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        Resource: below(...DECLARED, "scores/", "packs/", "probe-"),
      },
      { Sid: "Delete", Effect: "Allow", Action: ["s3:DeleteObject"], Resource: below("probe-") },
    ],
  });
});

test("an observer changes nothing; an administrator may erase in a bucket that keeps old versions", () => {
  const actions = (role: "observer" | "administrator"): string[] =>
    bucketPolicy(role, { bucket: "b" }, []).Statement.flatMap(({ Action }) => Action);
  assert.deepEqual(actions("observer"), ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject"]);
  assert.ok(["s3:DeleteObjectVersion", "s3:ListBucketVersions"].every((one) => actions("administrator").includes(one)));
});

test("every role has a row in docs/processes.md, and a policy that fits the session of an identity (2,048 characters)", () => {
  const page = readFileSync(join(ROOT, "docs/processes.md"), "utf8");
  const table = page.slice(page.indexOf("| role | reads below |")).split("\n\n")[0]!;
  for (const role of KAFKA_ROLES) {
    assert.ok(table.includes(`\`${role}\``), role);
    assert.ok(JSON.stringify(bucketPolicy(role, S3, [])).length <= 2048, role);
  }
});
