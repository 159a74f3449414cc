import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openBucket } from "../../../pipelines/open/open-bucket.js";
import { startKafka, type LocalKafka } from "../../../deploy/local/kafka.js";
import { startMinio, type LocalObjectStore } from "../../../deploy/local/minio.js";
import type { Store } from "../../../connectors/store/store.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { KafkaRole } from "../../../schemas/kafka-rights.js";
import { s3Schema } from "../../../schemas/s3-config.js";
import { bucketPolicy, type BucketPolicy } from "../../../schemas/store-rights.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { IdentityProvider } from "../../fixtures/identity-provider.js";
import { KafkaSite, ranSluice, type Ran, type RunProcess } from "../../fixtures/kafka-site.js";
import { collect } from "../../fixtures/publishing.js";

interface Keys {
  readonly SLUICE_S3__ACCESS_KEY: string;
  readonly SLUICE_S3__SECRET_KEY: string;
  readonly SLUICE_S3__SESSION_TOKEN: string;
}

describe(
  "roles with keys of their own for the bucket",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  () => {
    let kafka: LocalKafka;
    let minio: LocalObjectStore;
    let identities: IdentityProvider;
    before(async () => {
      identities = await IdentityProvider.open();
      [kafka, minio] = await Promise.all([
        startKafka(),
        startMinio({
          environment: {
            MINIO_IDENTITY_OPENID_CONFIG_URL: `${identities.url}/.well-known/openid-configuration`,
            MINIO_IDENTITY_OPENID_CLIENT_ID: "sluice",
          },
        }),
      ]);
    });
    after(async () => {
      await Promise.all([kafka.stop(), minio.stop()]);
      identities.close();
    });

    /** Keys that may what the policy says, and nothing else. */
    async function keysFor(policy: BucketPolicy): Promise<Keys> {
      const form = new URLSearchParams({
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        DurationSeconds: "3600",
        WebIdentityToken: identities.token("readwrite"),
        Policy: JSON.stringify(policy),
      });
      const answer = await (await fetch(`http://${minio.address}/`, { method: "POST", body: form })).text();
      const part = (name: string): string => {
        const found = new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer)?.[1];
        assert.ok(found !== undefined, answer);
        return found;
      };
      return {
        SLUICE_S3__ACCESS_KEY: part("AccessKeyId"),
        SLUICE_S3__SECRET_KEY: part("SecretAccessKey"),
        SLUICE_S3__SESSION_TOKEN: part("SessionToken"),
      };
    }

    test("each role's commands work with its policy alone, and it may nothing that is another role's", async (t) => {
      const dataset = { select: { k: 4, p: 3 }, trigger: { everyImages: 30 } };
      const site = await KafkaSite.open(
        t,
        { kafka, minio },
        { dataset, settings: { SLUICE_CHECKPOINT__EVERY_SEGMENTS: "2" } },
      );
      const keys = new Map<KafkaRole, Keys>();
      const as = async (role: KafkaRole): Promise<Keys> => {
        const known = keys.get(role);
        if (known !== undefined) return known;
        const made = await keysFor(bucketPolicy(role, { bucket: minio.bucket, prefix: site.stream }, []));
        keys.set(role, made);
        return made;
      };
      const sluice = async (role: KafkaRole, ...args: string[]): Promise<Ran> => {
        const done = await ranSluice(args, { cwd: site.folder, env: { ...site.environment, ...(await as(role)) } });
        assert.equal(done.code, 0, `${role}: sluice ${args.join(" ")}\n${done.stdout}${done.stderr}`);
        return done;
      };
      const run = async (role: KafkaRole, ...args: string[]): Promise<RunProcess> =>
        site.run(args, { ...(await as(role)) });

      const printed = await site.sluice("check", "--policy", "scorer");
      assert.deepEqual(
        JSON.parse(printed.stdout),
        bucketPolicy("scorer", { bucket: minio.bucket, prefix: site.stream }, []),
      );
      await site.put(0, [...Array(24).keys()]);
      await site.put(
        1,
        [...Array(24).keys()].map((seed) => 100 + seed),
      );
      const running = [
        await run("scorer", "score"),
        await run("topk", "topk"),
        await run("publisher", "publish"),
        await run("compactor", "compact"),
      ];
      const keysOf = async (prefix: string): Promise<string[]> =>
        (await collect(site.store.list(prefix))).map(({ key }) => key);
      await site.until("a version and a checkpoint", async () => {
        const manifests = (await keysOf("versions/best/")).filter((key) => key.endsWith("manifest.json"));
        return manifests.length > 0 && (await keysOf("checkpoints/")).length > 0 ? true : null;
      });
      for (const one of running) {
        assert.equal(await one.end("SIGTERM"), 0, one.said);
        assert.doesNotMatch(one.said, /E_STORE_|AccessDenied/);
      }
      await sluice("compactor", "compact");
      await sluice("observer", "status");
      await sluice("observer", "archive", "verify");
      await sluice("observer", "versions", "verify", "latest");
      const { classes } = JSON.parse((await sluice("observer", "versions", "show", "latest", "--json")).stdout) as {
        classes: { label: string; count: number }[];
      };
      const { label } = classes.find(({ count }) => count > 0)!;
      await sluice("labeller", "label", "not", label, "--rows", `${label}:1`, "--by", "anna");
      await sluice("publisher", "rebuild");
      await sluice("administrator", "gc", "--yes");

      const opened = async (role: KafkaRole): Promise<Store> => {
        const {
          SLUICE_S3__ACCESS_KEY: accessKey,
          SLUICE_S3__SECRET_KEY: secretKey,
          SLUICE_S3__SESSION_TOKEN: sessionToken,
        } = await as(role);
        const own = {
          endpoint: `http://${minio.address}`,
          bucket: minio.bucket,
          region: "us-east-1",
          prefix: site.stream,
        };
        const store = await openBucket(s3Schema.parse({ ...own, accessKey, secretKey, sessionToken }));
        t.after(() => store.close());
        return store;
      };
      const some = async (folder: string): Promise<string> => (await keysOf(folder))[0] ?? `${folder}none`;
      const bytes = Buffer.from("another's");
      const refused: readonly (readonly [KafkaRole, "put" | "delete" | "get", string])[] = [
        ["scorer", "delete", "scores/"],
        ["scorer", "delete", "packs/"],
        ["scorer", "put", "versions/"],
        ["scorer", "put", "checkpoints/"],
        ["scorer", "put", "labels/"],
        ["scorer", "get", "versions/"],
        ["topk", "put", "scores/"],
        ["topk", "put", "versions/"],
        ["topk", "get", "packs/"],
        ["topk", "delete", "versions/"],
        ["publisher", "put", "scores/"],
        ["publisher", "put", "checkpoints/"],
        ["publisher", "delete", "scores/"],
        ["publisher", "delete", "packs/"],
        ["compactor", "put", "scores/"],
        ["compactor", "put", "versions/"],
        ["compactor", "delete", "versions/"],
        ["compactor", "get", "versions/"],
        ["labeller", "put", "versions/"],
        ["observer", "put", "datasets/"],
        ["observer", "delete", "scores/"],
        ["producer", "get", "scores/"],
        ["producer", "put", "scores/"],
      ];
      for (const [role, act, folder] of refused) {
        const store = await opened(role);
        const key = await some(folder);
        const code = act === "get" ? "E_STORE_ACCESS" : "E_STORE_READONLY";
        await assert.rejects(
          act === "put" ? store.put(key, bytes) : act === "get" ? store.get(key) : store.delete(key),
          (error) => isSluiceError(error, code),
          `${role} ${act} ${key}`,
        );
      }
    });
  },
);
