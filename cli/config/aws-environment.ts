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
    AWS_ROLE_ARN: arn,
    AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
    AWS_ROLE_SESSION_NAME: session,
    AWS_ENDPOINT_URL_STS: sts,
    AWS_PROFILE: profile,
    AWS_SHARED_CREDENTIALS_FILE: credentialsFile,
    AWS_CONFIG_FILE: configFile,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: instanceEndpoint,
  } = environment;
  const isSaid = ["accessKey", "secretKey", "role", "profile", "instanceMetadata"].some(
    (name) => settings[name] !== undefined,
  );
  // A token belongs to its key: none is put to a key that was said elsewhere.
  if (!isSaid) {
    set("accessKey", id);
    set("secretKey", secret);
    set("sessionToken", token);
  }
  // As for AWS's own tools keys come first, then a web identity, then a profile.
  const isWithoutKeys = !isSaid && settings["accessKey"] === undefined;
  if (isWithoutKeys && tokenFile !== undefined && tokenFile !== "") settings["role"] = { tokenFile };
  else if (isWithoutKeys) set("profile", profile);
  const role = settings["role"];
  if (typeof role === "object" && role !== null && !Array.isArray(role)) {
    const known = Object.entries({ arn, session, sts }).filter(([, value]) => value !== undefined && value !== "");
    settings["role"] = { ...Object.fromEntries(known), ...role };
  }
  set("credentialsFile", credentialsFile);
  set("configFile", configFile);
  set("instanceEndpoint", instanceEndpoint);
  set("region", region, usual);
  const own = settings["region"];
  set("endpoint", ofS3, ofAll, typeof own === "string" ? `https://s3.${own}.amazonaws.com` : undefined);
  return { ...root, s3: settings };
}
