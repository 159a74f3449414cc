import { resolve } from "node:path";
import type { Config } from "../../schemas/config.js";

/** Settings of servers with the files of certificates and tokens as absolute paths; `folderOf` says where a setting's path begins. */
export function withPlacedFiles<One extends Pick<Config, "kafka" | "s3">>(
  settings: One,
  folderOf: (...setting: string[]) => string,
): One {
  const placed = { ...settings };
  const { kafka, s3 } = settings;
  if (s3?.ca !== undefined) placed.s3 = { ...s3, ca: resolve(folderOf("s3", "ca"), s3.ca) };
  if (kafka === undefined) return placed;
  const { tls, sasl } = kafka;
  placed.kafka = { ...kafka };
  if (sasl?.tokenFile !== undefined) {
    const tokenFile = resolve(folderOf("kafka", "sasl", "tokenFile"), sasl.tokenFile);
    placed.kafka.sasl = { ...sasl, tokenFile };
  }
  if (typeof tls === "boolean") return placed;
  const files = { ...tls };
  for (const name of ["ca", "cert", "key"] as const) {
    const file = tls[name];
    if (file !== undefined) files[name] = resolve(folderOf("kafka", "tls", name), file);
  }
  placed.kafka.tls = files;
  return placed;
}
