import { createHash, createHmac } from "node:crypto";
import { answered } from "./answered.js";
import type { S3Keys } from "./key-source.js";
import { keysIn, type StsRole } from "./web-identity.js";

/** Temporary keys of a role for those of somebody who may take it on. Throws E_STORE_ACCESS, E_STORE_IO. */
export async function keysOfRole(role: StsRole, own: S3Keys, region: string, nowMs: () => number): Promise<S3Keys> {
  const { arn, endpoint, session, ca } = role;
  const body = new URLSearchParams({
    Action: "AssumeRole",
    Version: "2011-06-15",
    ...(arn === undefined ? {} : { RoleArn: arn }),
    RoleSessionName: session,
  }).toString();
  const url = new URL("/", endpoint).href;
  const headers = signed(url, body, own, region, new Date(nowMs()));
  const { status, text } = await answered(url, "STS", { method: "POST", headers, body, ca });
  return keysIn(status, text, endpoint, "AssumeRole");
}

/** Headers of a POST to STS with its signature. Source: AWS Signature Version 4 */
function signed(url: string, body: string, own: S3Keys, region: string, now: Date): Record<string, string> {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/sts/aws4_request`;
  const headers: Record<string, string> = {
    "content-type": "application/x-www-form-urlencoded",
    host: new URL(url).host,
    "x-amz-content-sha256": sha256(body),
    "x-amz-date": time,
    ...(own.sessionToken === undefined ? {} : { "x-amz-security-token": own.sessionToken }),
  };
  const names = Object.keys(headers).sort();
  const listed = names.join(";");
  const canonical = ["POST", "/", "", ...names.map((name) => `${name}:${headers[name]!}`), "", listed, sha256(body)];
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical.join("\n"))].join("\n");
  const key = [day, region, "sts", "aws4_request"].reduce<Buffer>(
    (secret, part) => hmac(secret, part),
    Buffer.from(`AWS4${own.secretKey}`),
  );
  const signature = hmac(key, toSign).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${own.accessKey}/${scope}, SignedHeaders=${listed}, Signature=${signature}`;
  return { ...headers, authorization };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
