package management

import (
	"net/http"
	"strconv"
	"time"
)

// harborCreated is the answer to the creation of a robot.
type harborCreated struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	Secret    string     `json:"secret"`
	Created   *time.Time `json:"creation_time"`
	ExpiresAt int64      `json:"expires_at"`
}

func (a *API) harborCreate(w http.ResponseWriter, c *call) error {
	in := harborRobot{Duration: -1}
	if err := harborBody(w, c, &in); err != nil {
		return err
	}
	m := a.manager
	name, input, err := m.harborInput(&in, nil)
	if err != nil {
		return err
	}
	input.Secret = in.Secret
	made, err := m.CreateRobot(c.request.Context(), c.who, NewRobot{Name: name, RobotInput: input})
	if err != nil {
		return err
	}
	shown := m.showHarbor(&made.Robot)
	w.Header().Set("Location", HarborPrefix+"/robots/"+strconv.FormatInt(shown.ID, 10))
	send(w, c.request, http.StatusCreated, harborCreated{
		ID: shown.ID, Name: shown.Name, Secret: made.Secret, Created: shown.Created, ExpiresAt: shown.ExpiresAt,
	})
	return nil
}

func (a *API) harborGet(w http.ResponseWriter, c *call) error {
	r, err := a.manager.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	send(w, c.request, http.StatusOK, a.manager.showHarbor(r))
	return nil
}

func (a *API) harborUpdate(w http.ResponseWriter, c *call) error {
	m := a.manager
	before, err := m.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	in := harborRobot{Duration: m.showHarbor(before).Duration}
	if err := harborBody(w, c, &in); err != nil {
		return err
	}
	_, input, err := m.harborInput(&in, before)
	if err != nil {
		return err
	}
	if _, _, err = m.PutRobot(c.request.Context(), c.who, before.Name, input, Match{Revision: before.revision}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *API) harborDelete(w http.ResponseWriter, c *call) error {
	r, err := a.manager.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	if err := a.manager.DeleteRobot(c.request.Context(), c.who, r.Name, Match{}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// harborRefresh replaces the secret. As in Harbor, the old one ends at once.
func (a *API) harborRefresh(w http.ResponseWriter, c *call) error {
	r, err := a.manager.harborByID(c.who, c.path["id"])
	if err != nil {
		return err
	}
	var in struct {
		Secret string `json:"secret"`
	}
	if err := harborBody(w, c, &in); err != nil {
		return err
	}
	var atOnce int
	made, err := a.manager.RotateRobot(c.request.Context(), c.who, r.Name, Rotation{SecretInput: SecretInput{Secret: in.Secret}, Overlap: &atOnce}, Match{})
	if err != nil {
		return err
	}
	send(w, c.request, http.StatusOK, map[string]string{"secret": made.Secret})
	return nil
}
