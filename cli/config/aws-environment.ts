/** What AWS's own tools read from the environment: defaults for a bucket that is configured, below everything that is said of it. */
export function withAwsDefaults(
  root: Record<string, unknown>,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, unknown> {
  const s3 = objectOf(root["s3"]);
  if (s3 === null) return root;
  const settings = { ...s3 };
  const set = (name: string, ...variables: readonly (string | undefined)[]): void => {
    const value = variables.map((one) => one?.replace(/[\r\n]+$/, "")).find((one) => one !== undefined && one !== "");
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
  // A role without a token says what is taken on, and not by whose keys.
  const isSaid =
    ["accessKey", "secretKey", "profile"].some((name) => settings[name] !== undefined) ||
    settings["instanceMetadata"] === true ||
    objectOf(settings["role"])?.["tokenFile"] !== undefined;
  // A token belongs to its key: none is put to a key that was said elsewhere.
  if (!isSaid) {
    set("accessKey", id);
    set("secretKey", secret);
    set("sessionToken", token);
  }
  // As for AWS's own tools keys come first, then a web identity, then a profile.
  const isWithoutKeys = !isSaid && settings["accessKey"] === undefined;
  if (isWithoutKeys && tokenFile !== undefined && tokenFile !== "")
    settings["role"] = { ...objectOf(settings["role"]), tokenFile };
  else if (isWithoutKeys) set("profile", profile);
  const role = objectOf(settings["role"]);
  if (role !== null) {
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

function objectOf(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}
