import type { CodegenConfig } from "@graphql-codegen/cli";

/** Types of the schema and of every document in `src/`, generated for each run. */
const config: CodegenConfig = {
  schema: process.env.MEDHUB_SCHEMA ?? "../../api/schema.graphql",
  documents: "src/**/*.ts",
  emitLegacyCommonJSImports: false,
  generates: {
    "./src/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        scalars: { DateTime: "string", NaiveDate: "string", UUID: "string", Cents: "string" },
      },
    },
  },
};

export default config;
