import { execFile } from "node:child_process";
import type { ConnectionOptions } from "node:tls";
import { promisify } from "node:util";
import type { SASLOptions } from "kafkajs";
import { isSluiceError, messageOf, SluiceError } from "../../schemas/errors.js";
import type { KafkaConfig } from "../../schemas/kafka-config.js";
import { pemFile, settingsFile } from "./settings-file.js";

/** A token command that says nothing for this long has failed, ms */
const TOKEN_MS = 30_000;

/** How connections are encrypted; null: they are not. Throws E_FILE. */
export function kafkaTls({ tls }: Pick<KafkaConfig, "tls">): true | ConnectionOptions | null {
  if (typeof tls === "boolean") return tls ? true : null;
  const options: ConnectionOptions = tls.serverName === undefined ? {} : { servername: tls.serverName };
  for (const name of ["ca", "cert", "key"] as const) {
    const path = tls[name];
    if (path === undefined) continue;
    const read = (): string => pemFile(`kafka.tls.${name}`, path);
    // What is wrong with a file is said now. Each connection reads it again: certificates are renewed while processes run.
    read();
    Object.defineProperty(options, name, { enumerable: true, get: read });
  }
  return options;
}

/** How this process logs in, as the client takes it; a token is asked for at every connection, so that one that was renewed is taken. */
export function kafkaLogin(sasl: NonNullable<KafkaConfig["sasl"]>): SASLOptions {
  const { mechanism, username = "", password = "", tokenFile, tokenCommand } = sasl;
  if (mechanism !== "oauthbearer") return { mechanism, username, password };
  const token = async (): Promise<string> => {
    const text =
      tokenFile === undefined ? await said(tokenCommand ?? "") : settingsFile("kafka.sasl.tokenFile", tokenFile);
    const value = text.trim();
    if (value !== "" && !/\s/.test(value)) return value;
    const setting = tokenFile === undefined ? "kafka.sasl.tokenCommand" : "kafka.sasl.tokenFile";
    throw new SluiceError(
      "E_LOG_ACCESS",
      `Expected one token from ${setting}, found ${value === "" ? "nothing" : "several words"}.`,
    );
  };
  let isGiven = false;
  return {
    mechanism,
    oauthBearerProvider: async () => {
      try {
        const value = await token();
        isGiven = true;
        return { value };
      } catch (error) {
        // Who has given tokens before may be away for a while, or be writing the file.
        if (!isGiven || !isSluiceError(error)) throw error;
        throw new SluiceError(error.code, error.message, { ...error.context, cause: error.cause, retryable: true });
      }
    },
  };
}

async function said(command: string): Promise<string> {
  try {
    return (await promisify(execFile)("sh", ["-c", command], { timeout: TOKEN_MS })).stdout;
  } catch (error) {
    // Its output may have the token in it: no cause is kept.
    const { code, killed } = error as { readonly code?: unknown; readonly killed?: boolean };
    const found =
      killed === true
        ? `none after ${TOKEN_MS / 1000} s`
        : typeof code === "number"
          ? `exit code ${code}`
          : messageOf(error);
    throw new SluiceError("E_LOG_ACCESS", `Expected a token from kafka.sasl.tokenCommand, found ${found}.`);
  }
}
