import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { S3Bucket, type S3BucketOptions } from "../../../../connectors/store/s3/bucket.js";
import { renewedKeys } from "../../../../connectors/store/s3/keys/key-source.js";
import { gather, readObject, stat } from "../../../../connectors/store/s3/read.js";
import { isSluiceError } from "../../../../schemas/errors.js";

/** A server that answers as no store should, and a bucket there. */
async function bucketAt(t: TestContext, answer: RequestListener, options: Partial<S3BucketOptions> = {}) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const account = { accessKey: "a", secretKey: "b", region: "us-east-1", bucket: "sluice" };
  const bucket = new S3Bucket({ endPoint: "127.0.0.1", port, useSSL: false, patienceMs: 2000, ...account, ...options });
  t.after(() => {
    bucket.close();
  });
  return bucket;
}

const text = async (bucket: S3Bucket): Promise<string> =>
  Buffer.from(await gather(readObject(bucket, "a", 0, null))).toString();
const startOf = ({ headers }: IncomingMessage): number => Number(/bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);

test("an answer without a length ends where it ends", async (t) => {
  const bucket = await bucketAt(t, (_, response) => {
    response.write("one ");
    response.end("object");
  });
  assert.equal(await text(bucket), "one object");
});

test("a server that falls silent is given up and asked again for the rest, with a length and without one", async (t) => {
  for (const isTold of [true, false]) {
    let asked = 0;
    const bucket = await bucketAt(
      t,
      (request, response) => {
        const rest = "one object".slice(startOf(request));
        if (startOf(request) > 0) response.writeHead(206, { "Content-Range": `bytes ${startOf(request)}-9/10` });
        else if (isTold) response.writeHead(200, { "Content-Length": "10" });
        if (asked++ === 0) response.write(rest.slice(0, 4));
        else response.end(rest);
      },
      { stallMs: 100 },
    );
    assert.equal(await text(bucket), "one object");
    assert.equal(asked, 2);
  }
});

test("a server that falls silent while the reader is slow is given up once the reader has caught up", async (t) => {
  let asked = 0;
  const piece = Buffer.alloc(200_000, 7);
  const bucket = await bucketAt(
    t,
    (request, response) => {
      const start = startOf(request);
      if (start > 0)
        response.writeHead(206, { "Content-Range": `bytes ${start}-${2 * piece.length - 1}/${2 * piece.length}` });
      else response.writeHead(200, { "Content-Length": String(2 * piece.length) });
      if (asked++ === 0) response.write(piece);
      else response.end(Buffer.concat([piece, piece]).subarray(start));
    },
    { stallMs: 100 },
  );
  let sizeBytes = 0;
  for await (const chunk of readObject(bucket, "a", 0, null)) {
    // The connection's time is over while bytes wait to be read.
    if (sizeBytes === 0) await new Promise((resolve) => setTimeout(resolve, 300));
    sizeBytes += chunk.length;
  }
  assert.equal(sizeBytes, 2 * piece.length);
  assert.equal(asked, 2);
});

test("a server that sends all of an object in place of its rest is refused: its bytes are not taken twice", async (t) => {
  let asked = 0;
  const bucket = await bucketAt(t, (_, response) => {
    response.writeHead(200, { "Content-Length": "10" });
    if (asked++ > 0) response.end("one object");
    else response.write("one ", () => response.destroy());
  });
  await assert.rejects(text(bucket), (error) => {
    assert.ok(isSluiceError(error, "E_STORE_IO"));
    return /from byte 4 on \(Range\), found status 200 from byte 0/.test(error.message);
  });
});

const refusal = (code: string, more = ""): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message>${more}</Error>`;

test("a HEAD that is refused without words says why by a listing: keys that are over are read anew", async (t) => {
  for (const [status, code] of [
    [400, "ExpiredToken"],
    [403, "InvalidAccessKeyId"],
  ] as const) {
    let reads = 0;
    const keySource = renewedKeys(
      () => Promise.resolve({ accessKey: reads++ === 0 ? "old" : "new", secretKey: "s", expiresMs: null }),
      Date.now,
    );
    const bucket = await bucketAt(
      t,
      ({ method, headers }, response) => {
        if (headers.authorization?.includes("Credential=new/") === true)
          response.writeHead(200, { "Content-Length": "10", ETag: '"x"', "Last-Modified": new Date(0).toUTCString() });
        else response.writeHead(status);
        response.end(method === "HEAD" ? "" : refusal(code));
      },
      { keySource, accessKey: undefined, secretKey: undefined },
    );
    assert.equal((await bucket.retrying("read", "a", () => stat(bucket, "a"))).size, 10, code);
  }
});

test("a bucket in another region is said with that region and the settings to change, by a HEAD too", async (t) => {
  const cases = [
    [
      400,
      refusal("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
      "E_STORE_ACCESS",
      /s3\.region to eu-west-1/,
    ],
    [301, refusal("PermanentRedirect"), "E_STORE_IO", /s3\.region and s3\.endpoint to those of eu-west-1/],
    [403, refusal("RequestTimeTooSkewed"), "E_STORE_ACCESS", /set the clock/],
  ] as const;
  for (const [status, body, code, said] of cases) {
    const bucket = await bucketAt(t, ({ method }, response) => {
      response.writeHead(status, { "x-amz-bucket-region": "eu-west-1" });
      response.end(method === "HEAD" ? "" : body);
    });
    await assert.rejects(
      bucket.retrying("read", "a", () => stat(bucket, "a")),
      (error) => {
        assert.ok(isSluiceError(error, code), String(error));
        return said.test(error.message);
      },
    );
  }
});
