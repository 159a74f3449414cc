import { readFile } from "node:fs/promises";
import { orNull, SluiceError } from "../../../../schemas/errors.js";
import type { S3Keys } from "./key-source.js";

/** AWS's shared files. */
export interface ProfileFiles {
  readonly credentials: string;
  readonly config: string;
}

/** What the files say of one profile. */
export interface Profile {
  readonly keys: S3Keys | null;
  readonly roleArn?: string | undefined;
  /** Whose keys take on the role */
  readonly sourceProfile?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly session?: string | undefined;
}

/** Reads a profile as the files are now. Throws E_STORE_ACCESS where they have none, or one that is got in another way. */
export async function readProfile(files: ProfileFiles, name: string): Promise<Profile> {
  const [credentials, config] = await Promise.all(
    [files.credentials, files.config].map(async (path) =>
      sectionsOf((await orNull(readFile(path, "utf8"), "ENOENT")) ?? ""),
    ),
  );
  const found = {
    ...(name === "default" ? config?.get("default") : undefined),
    ...config?.get(`profile ${name}`),
    ...credentials?.get(name),
  } as Partial<Record<string, string>>;
  const where = `${files.credentials} or ${files.config}`;
  if (Object.keys(found).length === 0)
    throw new SluiceError(
      "E_STORE_ACCESS",
      `Expected a profile "${name}" (s3.profile, AWS_PROFILE) in ${where}, found none.`,
    );
  const { aws_access_key_id: accessKey, aws_secret_access_key: secretKey, aws_session_token: sessionToken } = found;
  const keys =
    accessKey === undefined || secretKey === undefined ? null : { accessKey, secretKey, sessionToken, expiresMs: null };
  const { role_arn: roleArn, source_profile: sourceProfile, web_identity_token_file: tokenFile } = found;
  if (keys === null && tokenFile === undefined && sourceProfile === undefined) {
    const other = ["credential_process", "sso_session", "sso_start_url"].find((key) => found[key] !== undefined);
    throw new SluiceError(
      "E_STORE_ACCESS",
      `Expected keys, or a role with source_profile or web_identity_token_file, in profile "${name}" of ${where}, found ${other ?? "neither"}. ` +
        `\`aws configure export-credentials --profile ${name}\` prints keys for the environment.`,
    );
  }
  return { keys, roleArn, sourceProfile, tokenFile, session: found["role_session_name"] };
}

function sectionsOf(text: string): Map<string, Record<string, string>> {
  const sections = new Map<string, Record<string, string>>();
  let current: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const head = /^\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (head !== undefined) {
      current = sections.get(head) ?? {};
      sections.set(head, current);
      continue;
    }
    const [, key, value] = /^([a-z_]+)\s*=\s*(.*?)\s*$/i.exec(line) ?? [];
    if (key !== undefined && value !== undefined && value !== "") current[key.toLowerCase()] = value;
  }
  return sections;
}
