/** What can be done about a damaged or missing part of a chain, for people. */
export function repairsOf(key: string): string {
  return (
    `Restore the object from a copy. Without one, \`sluice archive repair ${key}\` says what can be made again from what is left and from the log, ` +
    `\`sluice archive declare-lost ${key} --reason damaged\` what giving up its offsets means, and ` +
    "`sluice rebuild --allow-gaps` leaves them out of one version and marks it incomplete. `sluice archive verify` names the versions made from them."
  );
}
