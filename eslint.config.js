import tseslint from "typescript-eslint";
import prettier from "eslint-config-prettier";

export default tseslint.config(
  {
    ignores: [
      "dist/",
      ".build/",
      "node_modules/",
      "sluice-data/",
      "sluice-quickstart/",
      "**/*.js",
      "**/*.mjs",
      "**/*.cjs",
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      // Offsets, counts and seeds are written into messages everywhere; numbers print unambiguously.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // Typed arrays are indexed inside bounds the loop itself establishes; `!` there costs nothing and says so.
      "@typescript-eslint/no-non-null-assertion": "off",
      // Interfaces are asynchronous because some implementations are; an embedded one may have nothing to await.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ["test/**/*.ts"],
    // node:test's `test()` returns a promise that the runner itself awaits.
    rules: {
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["test", "describe", "it", "suite"] },
          ],
        },
      ],
    },
  },
  prettier,
);
