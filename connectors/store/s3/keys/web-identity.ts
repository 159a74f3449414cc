import { readFile } from "node:fs/promises";
import { messageOf, SluiceError } from "../../../../schemas/errors.js";
import { answered } from "./answered.js";
import type { S3Keys } from "./key-source.js";

/** A role, and where its keys are asked for. */
export interface StsRole {
  /** Some stores have no names for roles: then it is left out */
  readonly arn?: string | undefined;
  /** STS's address, such as https://sts.eu-central-1.amazonaws.com; of MinIO the store's own */
  readonly endpoint: string;
  readonly session: string;
  readonly ca?: string | undefined;
}

/** Temporary keys for a token that an identity provider has written into a file, which is read each time. Throws E_STORE_ACCESS, E_STORE_IO. */
export async function keysOfWebIdentity(role: StsRole, tokenFile: string): Promise<S3Keys> {
  const { arn, endpoint, session, ca } = role;
  const token = await readFile(tokenFile, "utf8").catch((cause: unknown) => {
    throw new SluiceError(
      "E_STORE_ACCESS",
      `Expected the token of a web identity in ${tokenFile} (s3.role.tokenFile), found: ${messageOf(cause)}.`,
      { cause },
    );
  });
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    ...(arn === undefined ? {} : { RoleArn: arn }),
    RoleSessionName: session,
    WebIdentityToken: token.trim(),
  }).toString();
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const { status, text } = await answered(endpoint, "STS", { method: "POST", headers, body, ca });
  return keysIn(status, text, endpoint, "AssumeRoleWithWebIdentity");
}

/** STS's answer to any AssumeRole…. Throws E_STORE_ACCESS, and E_STORE_IO, retryable, where it is busy. */
export function keysIn(status: number, text: string, endpoint: string, action: string): S3Keys {
  const member = (name: string): string | undefined =>
    new RegExp(`<${name}>\\s*([^<]+?)\\s*</${name}>`).exec(text)?.[1];
  const accessKey = member("AccessKeyId");
  const secretKey = member("SecretAccessKey");
  const sessionToken = member("SessionToken");
  const expiresMs = Date.parse(member("Expiration") ?? "");
  if (status === 200 && accessKey !== undefined && secretKey !== undefined && sessionToken !== undefined)
    return { accessKey, secretKey, sessionToken, expiresMs: Number.isNaN(expiresMs) ? null : expiresMs };
  const found = `${member("Code") ?? `status ${status}`}${member("Message") === undefined ? "" : `: ${member("Message")!}`}`;
  throw new SluiceError(
    status >= 500 ? "E_STORE_IO" : "E_STORE_ACCESS",
    `Expected temporary keys of STS at ${endpoint} (${action}), found ${found}. Check s3.role: its ARN, its token, and who may take it on.`,
    { retryable: status >= 500 },
  );
}
