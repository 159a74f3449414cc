import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { serverTimeMs } from "../../connectors/store/s3/server-clock.js";
import { checkServices, clockLine } from "../../pipelines/check-services.js";
import { configSchema } from "../../schemas/config.js";

test("a clock that differs from the object store's is said with its sense, and fails where requests are refused", () => {
  const NOW = 1_800_000_000_000;
  const line = (skewMs: number): string => {
    const { state, message } = clockLine(NOW + skewMs, NOW, NOW + 200);
    return `${state} ${message}`;
  };
  assert.equal(line(0), "ok as the object store's");
  // The server tells whole seconds.
  assert.equal(line(-900), "ok as the object store's");
  assert.match(line(60_200), /^warn this machine's clock is 60 s behind the object store's/);
  assert.match(line(-61_000), /^warn this machine's clock is 60 s ahead of the object store's/);
  assert.match(line(3_600_000), /^fail .* behind .*from 15 minutes on/);
  assert.match(line(-3_600_000), /^fail .* ahead of/);
});

test("a server's time is read from its answer, whatever it answers; without an answer there is none", async () => {
  const server = createServer((_, answer) => {
    answer.writeHead(403, { date: "Wed, 01 Jan 2025 00:00:00 GMT" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const place = { endPoint: "127.0.0.1", port, useSSL: false };
  assert.equal(await serverTimeMs(place), Date.UTC(2025, 0, 1));
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await serverTimeMs(place), null);
});

/** A store that refuses some requests, or does not know of conditions */
async function storeThat(t: TestContext, refuses: (method: string, path: string) => boolean, isBlind = false) {
  const objects = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { pathname: path, searchParams } = new URL(request.url!, "http://store");
      const method = request.method!;
      const refuse = (status: number, code: string): void => {
        response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
      };
      if (refuses(method, path)) refuse(403, "AccessDenied");
      else if (searchParams.has("list-type")) {
        const place = `${path}/${searchParams.get("prefix")!}`.replaceAll("//", "/");
        const keys = [...objects.keys()].filter((key) => key.startsWith(place));
        const contents = keys.map(
          (key) => `<Contents><Key>${key.split("/").slice(2).join("/")}</Key><Size>1</Size></Contents>`,
        );
        response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`);
      } else if (method === "PUT") {
        if (!isBlind && request.headers["if-none-match"] === "*" && objects.has(path))
          refuse(412, "PreconditionFailed");
        else {
          const bytes = Buffer.concat(chunks);
          objects.set(path, bytes);
          response.setHeader("ETag", `"${createHash("md5").update(bytes).digest("hex")}"`);
          response.end();
        }
      } else if (method === "DELETE") {
        objects.delete(path);
        response.writeHead(204).end();
      } else if (objects.has(path)) response.end(objects.get(path));
      else refuse(404, "NoSuchKey");
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, bucket: "sluice", region: "us-east-1", accessKey: "a", secretKey: "b" };
}

async function bucketLines(s3: object | undefined, allow: object = {}): Promise<string[]> {
  const lines: string[] = [];
  const config = configSchema.parse({ ...(s3 === undefined ? {} : { s3 }), sources: { allow } });
  for await (const { subject, state, message } of checkServices(config, Date.now))
    if (subject !== "clock") lines.push(`${state} ${subject}: ${message}`);
  return lines;
}

test("each thing that a bucket does not allow is named with the permission that it takes", async (t) => {
  const cases = [
    ["GET", /\/sluice\/?$/, /fail bucket: .*AccessDenied/],
    ["PUT", /./, /fail bucket: expected to write objects, .*It takes the permission s3:PutObject\./],
    ["GET", /checks\//, /fail bucket: expected to read objects, .*It takes the permission s3:GetObject\./],
    ["DELETE", /./, /fail bucket: expected to delete objects, .*It takes the permission s3:DeleteObject\./],
  ] as const;
  for (const [refused, where, said] of cases) {
    const s3 = await storeThat(t, (method, path) => method === refused && where.test(path));
    assert.match((await bucketLines(s3)).join("\n"), said);
  }
  assert.match((await bucketLines(await storeThat(t, () => false)))[0]!, /^ok bucket: .* one wins$/);
  const blind = await storeThat(t, () => false, true);
  assert.match((await bucketLines(blind))[0]!, /^fail bucket: Expected one of 8 writers .*If-None-Match/);
});

test("buckets that images may lie in are listed, and what is wrong with one is said with the setting that names it", async (t) => {
  const s3 = await storeThat(t, (_, path) => path.startsWith("/shut"));
  const allow = { buckets: ["crawl/2026/", "shut"] };
  const lines = await bucketLines(s3, allow);
  assert.match(lines[1]!, /^ok sources: s3:\/\/crawl\/2026\/ can be listed, and has nothing yet$/);
  assert.match(
    lines[2]!,
    /^warn sources: expected to list s3:\/\/shut \(sources\.allow\.buckets\), found .*AccessDenied/,
  );
  assert.match((await bucketLines(undefined, allow))[0]!, /^warn sources: .* found no s3: in the configuration/);
});
