import { SluiceError } from "../../../../schemas/errors.js";
import { answered } from "./answered.js";
import type { S3Keys } from "./key-source.js";

const TOKEN = "X-aws-ec2-metadata-token";
const ROLE = "/latest/meta-data/iam/security-credentials/";

/** The keys of the role that an instance has (IMDSv2). Throws E_STORE_IO where no service answers, E_STORE_ACCESS where there is no role. */
export async function keysOfInstance(endpoint: string): Promise<S3Keys> {
  const what = "the instance's metadata service (s3.instanceMetadata)";
  const ask = async (path: string, asked: Parameters<typeof answered>[2]): Promise<string> => {
    const { status, text } = await answered(`${endpoint}${path}`, what, { ...asked, withinMs: 5_000 });
    if (status === 200) return text;
    throw new SluiceError(
      status >= 500 ? "E_STORE_IO" : "E_STORE_ACCESS",
      `Expected ${what} to answer ${path}, found status ${status}. Give the instance a role, or leave s3.instanceMetadata out.`,
      { retryable: status >= 500 },
    );
  };
  const token = await ask("/latest/api/token", { method: "PUT", headers: { [`${TOKEN}-ttl-seconds`]: "300" } });
  const headers = { [TOKEN]: token };
  const role = (await ask(ROLE, { method: "GET", headers })).split("\n")[0]!.trim();
  const text = await ask(`${ROLE}${encodeURIComponent(role)}`, { method: "GET", headers });
  let given: Partial<Record<"AccessKeyId" | "SecretAccessKey" | "Token" | "Expiration", string>>;
  try {
    given = JSON.parse(text) as typeof given;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new SluiceError(
      "E_STORE_IO",
      `Expected the keys of role ${role} from ${what} as JSON, found something else. Check s3.instanceEndpoint.`,
      { cause, retryable: true },
    );
  }
  const { AccessKeyId: accessKey, SecretAccessKey: secretKey, Token: sessionToken, Expiration: expiration } = given;
  if (accessKey === undefined || secretKey === undefined)
    throw new SluiceError("E_STORE_ACCESS", `Expected the keys of role ${role} from ${what}, found none.`);
  const expiresMs = Date.parse(expiration ?? "");
  return { accessKey, secretKey, sessionToken, expiresMs: Number.isNaN(expiresMs) ? null : expiresMs };
}
