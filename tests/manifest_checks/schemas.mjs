// Checks manifests against the models of Kubernetes and of the operators whose kinds they use. A validator, which was made from the
// schema, checks each value; it lets unknown fields pass, so the compiler of TypeScript then checks the manifest as a literal of the
// kind's type, which has no other fields.

import ts from 'typescript';
import { readDocuments } from './documents.mjs';

// Packages by API group; groups that are not here are those of Kubernetes itself.
const PACKAGES = {
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'networking.istio.io': '@kubernetes-models/istio',
  'security.istio.io': '@kubernetes-models/istio',
};
const KINDS_OF_ARGO_CD = ['Application', 'AppProject'];
// No registry has a package with their schemas.
const GROUPS_WITHOUT_SCHEMA = ['barmancloud.cnpg.io', 'postgresql.cnpg.io'];
const SOURCE = new URL('./generated-manifests.ts', import.meta.url).pathname;

// Returns a report for each group of files; groups are separated by `--`. The compiler takes seconds to read the types of all kinds, once.
export async function checkSchemas(args) {
  const groups = splitGroups(args);
  const manifests = groups.flatMap((files, group) =>
    readDocuments(files).map((manifest) => ({ group, manifest, name: describe(manifest), ...locate(manifest) })),
  );
  const checked = manifests.filter(({ module }) => module !== null);
  const problems = [];
  for (const { group, manifest, name, module } of checked) {
    const problem = await findInvalidValue(manifest, module);
    if (problem !== null) {
      problems.push({ group, text: `${name}: ${problem}` });
    }
  }
  problems.push(...findUnknownFields(checked));
  return groups.map((_, group) => {
    const isOfGroup = (item) => item.group === group;
    const unchecked = manifests.filter(({ module }) => module === null).filter(isOfGroup).map(({ manifest }) => manifest.kind);
    return {
      checked: checked.filter(isOfGroup).length,
      unchecked: [...new Set(unchecked)].sort(),
      problems: problems.filter(isOfGroup).map(({ text }) => text),
    };
  });
}

function splitGroups(args) {
  const groups = [[]];
  for (const arg of args) {
    if (arg === '--') {
      groups.push([]);
    } else {
      groups.at(-1).push(arg);
    }
  }
  return groups;
}

function describe({ kind, metadata }) {
  return `${kind} ${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

function locate({ apiVersion, kind }) {
  const [group] = apiVersion.includes('/') ? apiVersion.split('/') : [''];
  if (GROUPS_WITHOUT_SCHEMA.includes(group)) {
    return { module: null };
  }
  const argo = KINDS_OF_ARGO_CD.includes(kind) ? '@kubernetes-models/argo-cd' : '@kubernetes-models/argo-rollouts';
  const models = group === 'argoproj.io' ? argo : (PACKAGES[group] ?? 'kubernetes-models');
  return { module: `${models}/${apiVersion}/${kind}` };
}

async function findInvalidValue(manifest, module) {
  try {
    const models = await import(module);
    new models[manifest.kind](withPlainBase64(manifest)).validate();
    return null;
  } catch (error) {
    return error.message;
  }
}

// Kustomize breaks the lines of long values of secrets; the server of Kubernetes joins them, the validator does not.
function withPlainBase64(manifest) {
  if (manifest.kind !== 'Secret') {
    return manifest;
  }
  const data = Object.entries(manifest.data ?? {}).map(([key, value]) => [key, value.replace(/\s/g, '')]);
  return { ...manifest, data: Object.fromEntries(data) };
}

function findUnknownFields(manifests) {
  const modules = [...new Set(manifests.map(({ module }) => module))];
  const imports = modules.map((module, index) => `import type { I${module.split('/').pop()} as Kind${index} } from '${module}';`);
  const literals = manifests.map(
    ({ manifest, module }, index) => `export const manifest${index}: Kind${modules.indexOf(module)} = ${JSON.stringify(manifest)};`,
  );
  const source = [...imports, ...literals].join('\n');
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts'],
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => path === SOURCE || fileExists.call(host, path);
  host.readFile = (path) => (path === SOURCE ? source : readFile.call(host, path));
  host.getSourceFile = (path, language) =>
    path === SOURCE ? ts.createSourceFile(path, source, language) : getSourceFile.call(host, path, language);
  const program = ts.createProgram([SOURCE], options, host);
  const diagnostics = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(), ...program.getSemanticDiagnostics()];
  return diagnostics.map(({ file, start, messageText }) => {
    const line = file?.fileName === SOURCE ? file.getLineAndCharacterOfPosition(start).line - imports.length : -1;
    const { group, name } = manifests[line] ?? { group: 0, name: '' };
    return { group, text: `${name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}` };
  });
}
