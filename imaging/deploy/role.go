package deploy

import (
	"context"
	"fmt"

	"ingot/store"
)

// PutRole writes a role.
func (s *Service) PutRole(_ context.Context, operator string, r store.Role) (store.Role, error) {
	err := s.update(func(tx *store.Tx) (err error) {
		r.By = operator
		if r, err = tx.PutRole(r); err != nil {
			return err
		}
		return tx.Audit(operator, "role", r.Name, fmt.Sprintf("Revision %d: %s, pattern %q.", r.Revision, r.Image, r.Pattern))
	})
	return r, err
}

// Roles lists the roles.
func (s *Service) Roles(context.Context) (r []store.Role, err error) {
	err = s.db.View(func(tx *store.Tx) error { r, err = tx.Roles(); return err })
	return r, err
}
