// Starts GraphiQL against this server. Subscriptions use a WebSocket, initialised with the content of "Headers".
const fetcher = GraphiQL.createFetcher({
  url: '/graphql',
  subscriptionUrl: `${location.origin.replace(/^http/, 'ws')}/graphql`,
});
const defaultQuery = `# Wheelchairs and lifts, by meaning rather than by words
query Search {
  searchOpportunities(query: "wheelchairs and patient lifts", first: 5) {
    score
    id
    title
    agency { name }
  }
}

# The newest notices, a page at a time
query Newest {
  opportunities(first: 5) {
    totalCount
    edges { node { id title type postedAt } }
    pageInfo { hasNextPage endCursor }
  }
}
`;
const root = ReactDOM.createRoot(document.getElementById('graphiql'));
root.render(React.createElement(GraphiQL, { fetcher, defaultQuery }));
