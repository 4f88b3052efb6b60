// No licence here. // want goheader

package grant
