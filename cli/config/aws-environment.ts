/** What AWS's own tools read from the environment: defaults for a bucket that is configured, below everything that is said of it. */
export function withAwsDefaults(
  root: Record<string, unknown>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, unknown> {
  const s3 = root["s3"];
  if (typeof s3 !== "object" || s3 === null || Array.isArray(s3)) return root;
  const settings = { ...s3 } as Record<string, unknown>;
  const set = (name: string, ...variables: readonly (string | undefined)[]): void => {
    const value = variables.find((one) => one !== undefined && one !== "");
    if (value !== undefined) settings[name] ??= value;
  };
  const {
    AWS_ACCESS_KEY_ID: id,
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_SESSION_TOKEN: token,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: usual,
    AWS_ENDPOINT_URL_S3: ofS3,
    AWS_ENDPOINT_URL: ofAll,
  } = environment;
  // A token belongs to its key: none is put to a key that was said elsewhere.
  if (settings["accessKey"] === undefined && settings["secretKey"] === undefined) {
    set("accessKey", id);
    set("secretKey", secret);
    set("sessionToken", token);
  }
  set("region", region, usual);
  const own = settings["region"];
  set("endpoint", ofS3, ofAll, typeof own === "string" ? `https://s3.${own}.amazonaws.com` : undefined);
  return { ...root, s3: settings };
}
